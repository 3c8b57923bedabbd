"""Devices of the host: what is plugged in, and what policy says of it."""
