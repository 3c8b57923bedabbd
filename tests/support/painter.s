# A guest of one disk sector that paints a known pattern and follows its window (tests/support/painter.py).
#
# It drives the Bochs display interface (QEMU, docs/specs/standard-vga.txt: index port 0x1ce, data port 0x1cf)
# through the 64 KiB window at 0xa0000. On its serial port is what the SPICE agent would read: chunks of
# (port, size), in each a message of (protocol, type, opaque, size, data); type 2 is VD_AGENT_MONITORS_CONFIG
# with (monitors, flags, height, width, ...) (spice-protocol, vd_agent.h). A key inverts the colours.

        .code16
        .globl _start
_start: jmp     main
        .org    4
colours: .long  0, 0, 0, 0              # of the four quarters, put here by painter.py
tone:   .long   0
width:  .word   640
height: .word   480
bank:   .word   0

main:   cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7c00, %sp
        call    show
again:  movb    $1, %ah                 # a key?
        int     $0x16
        jz      1f
        xorb    %ah, %ah
        int     $0x16
        xorl    $0xffffff, tone
        call    paint
1:      movw    $0x3fd, %dx             # a byte from the agent's channel?
        inb     %dx, %al
        testb   $1, %al
        jz      again
        call    get4                    # port
        call    get4                    # size of the chunk
        call    get4                    # protocol
        call    get4
        movl    %eax, %esi              # type
        call    get4
        call    get4                    # opaque
        call    get4
        movl    %eax, %ecx              # size of the data
        cmpl    $2, %esi
        jne     skip
        subl    $16, %ecx
        call    get4                    # monitors
        call    get4                    # flags
        call    get4
        movw    %ax, height
        call    get4
        andb    $0xf8, %al              # the display rounds it down to eighths
        movw    %ax, width
        movw    $1, %bp
        jmp     rest
skip:   xorw    %bp, %bp
rest:   jecxz   2f
        call    get1
        decl    %ecx
        jmp     rest
2:      testw   %bp, %bp
        jz      again
        call    show
        jmp     again

get4:   movw    $4, %di
        xorl    %ebx, %ebx
3:      call    get1
        movb    %al, %bl
        rorl    $8, %ebx
        decw    %di
        jnz     3b
        movl    %ebx, %eax
        ret

get1:   movw    $0x3fd, %dx
4:      inb     %dx, %al
        testb   $1, %al
        jz      4b
        movw    $0x3f8, %dx
        inb     %dx, %al
        ret

set:    movw    $0x1ce, %dx             # register %bx becomes %ax
        xchgw   %ax, %bx
        outw    %ax, %dx
        incw    %dx
        xchgw   %ax, %bx
        outw    %ax, %dx
        ret

show:   movw    $4, %bx                 # off while it changes
        xorw    %ax, %ax
        call    set
        movw    $1, %bx
        movw    width, %ax
        call    set
        movw    $2, %bx
        movw    height, %ax
        call    set
        movw    $3, %bx
        movw    $32, %ax
        call    set
        movw    $4, %bx
        movw    $1, %ax
        call    set

paint:  movw    $0xa000, %ax
        movw    %ax, %es
        movw    $0xffff, bank
        xorw    %di, %di
        call    next
        xorw    %bp, %bp                # row
5:      xorw    %cx, %cx                # column
6:      xorw    %bx, %bx
        movw    %cx, %ax
        shlw    $1, %ax
        cmpw    width, %ax
        jb      7f
        orw     $4, %bx
7:      movw    %bp, %ax
        shlw    $1, %ax
        cmpw    height, %ax
        jb      8f
        orw     $8, %bx
8:      movl    colours(%bx), %eax
        xorl    tone, %eax
        movw    %cx, %bx
        xorw    %bp, %bx
        testw   $1, %bx                 # every other pixel differs, so one that is not in its place shows
        jz      9f
        xorl    $0x202020, %eax
9:      stosl
        testw   %di, %di
        jnz     10f
        call    next
10:     incw    %cx
        cmpw    width, %cx
        jb      6b
        incw    %bp
        cmpw    height, %bp
        jb      5b
        ret

next:   incw    bank                    # the next 64 KiB of the picture into the window
        pushw   %bx
        movw    $5, %bx
        movw    bank, %ax
        call    set
        popw    %bx
        ret

        .org    510
        .word   0xaa55
