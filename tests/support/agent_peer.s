# A guest of one disk sector that hands every byte of its first serial port to its second, and back. The first is
# the SPICE agent's channel, the second a socket: so a test speaks as the agent of a guest (agent_peer.py). It
# sleeps until a byte comes; the BIOS's own handlers of the ports' interrupts (4 and 3) only acknowledge them.

        .code16
        .globl _start
_start: cld
        inb     $0x21, %al              # let the ports' interrupts through
        andb    $0xe7, %al
        outb    %al, $0x21
        movw    $0x3f8, %si
        movw    $0x2f8, %di
        call    arm
        xchgw   %si, %di
        call    arm
        xchgw   %si, %di
        sti
again:  xorw    %bp, %bp
        call    pass
        xchgw   %si, %di
        call    pass
        xchgw   %si, %di
        testw   %bp, %bp
        jnz     again
        hlt                             # a byte that came just now is seen at the next tick, 55 ms later
        jmp     again

arm:    leaw    1(%si), %dx             # an interrupt for each byte received
        movb    $1, %al
        outb    %al, %dx
        leaw    4(%si), %dx
        movb    $0x0b, %al
        outb    %al, %dx
        ret

pass:   leaw    5(%si), %dx             # one byte from port %si to port %di, where there is one
        inb     %dx, %al
        testb   $1, %al
        jz      2f
        incw    %bp
        leaw    5(%di), %dx
1:      inb     %dx, %al
        testb   $0x20, %al
        jz      1b
        movw    %si, %dx
        inb     %dx, %al
        movw    %di, %dx
        outb    %al, %dx
2:      ret

        .org    510
        .word   0xaa55
