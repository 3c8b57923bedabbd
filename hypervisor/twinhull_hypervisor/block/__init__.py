"""Storage that a partition reads and nobody writes: a USB stick's blocks, without the USB device (R17)."""
