# A guest of one disk sector that uses QEMU's "edu" card (QEMU, docs/specs/edu.rst) and says so on its serial port.
#
# It looks for the card on every bus (PCI Local Bus 3.0, 3.2.2.3.2), reads what it is, has it count a factorial,
# and has it copy memory to itself and back: a whole round by DMA. Then it waits for ever.

        .code16
        .globl _start
_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7c00, %sp
        inb     $0x92, %al              # address line 20
        orb     $2, %al
        andb    $0xfe, %al
        outb    %al, $0x92
        lgdt    table
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmp    $8, $main

        .code32
main:   movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $0x7c00, %esp
        cld
        movl    $0x80000000, %ebx       # bus 0, device 0, function 0
look:   xorl    %ecx, %ecx
        call    config
        cmpl    $0x11e81234, %eax
        je      found
        addl    $0x800, %ebx
        cmpl    $0x81000000, %ebx
        jb      look
        movl    $none, %esi
        jmp     tell

found:  movl    $4, %ecx                # memory space and bus master
        call    config
        orl     $6, %eax
        outl    %eax, %dx
        movl    $16, %ecx               # its registers
        call    config
        andl    $0xfffffff0, %eax
        movl    %eax, %ebp

        movl    $5, 8(%ebp)
1:      testl   $1, 0x20(%ebp)
        jnz     1b
        cmpl    $120, 8(%ebp)
        movl    $wrong, %esi
        jne     tell

        movl    $0x8000, %edi           # a pattern, there and back
        movl    $512, %ecx
        movl    $0x9e3779b9, %eax
2:      stosl
        addl    $0x9e3779b9, %eax
        loop    2b
        movl    $0x8000, %eax
        movl    $0x40000, %ecx
        movl    $1, %edx
        call    copy
        movl    $0x40000, %eax
        movl    $0xa000, %ecx
        movl    $3, %edx
        call    copy
        movl    $0x8000, %esi
        movl    $0xa000, %edi
        movl    $512, %ecx
        repe    cmpsl
        movl    $wrong, %esi
        jne     tell

        movl    $good, %esi
tell:   movw    $0x3fd, %dx
3:      inb     %dx, %al
        testb   $0x20, %al
        jz      3b
        lodsb
        testb   %al, %al
        jz      4f
        movw    $0x3f8, %dx
        outb    %al, %dx
        jmp     tell
4:      hlt
        jmp     4b

config: movl    %ebx, %eax              # the register %ecx of the function %ebx; %dx stays its port
        addl    %ecx, %eax
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        inl     %dx, %eax
        ret

copy:   movl    %eax, 0x80(%ebp)        # 2048 bytes from %eax to %ecx, the way %edx says
        movl    %ecx, 0x88(%ebp)
        movl    $2048, 0x90(%ebp)
        movl    %edx, 0x98(%ebp)
5:      testl   $1, 0x98(%ebp)
        jnz     5b
        ret

good:   .asciz  "the guest used the card\r\n"
none:   .asciz  "the guest found no card\r\n"
wrong:  .asciz  "the guest got wrong answers\r\n"

        .align  8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
table:  .word   . - gdt - 1
        .long   gdt

        .org    510
        .word   0xaa55
