"""Devices of the host: what is plugged in, and who may use it."""
