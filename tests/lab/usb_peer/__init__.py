"""Emulated USB devices for a virtual machine: any kind, plugged into QEMU's xHCI over the usbredir protocol.

``kinds`` and ``malformed`` describe devices, ``device`` is what a host sees of one, ``plug`` is the cable.
"""
