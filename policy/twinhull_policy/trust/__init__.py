"""Pure verification: root of trust, statements, policy bodies, golden images. No I/O."""
