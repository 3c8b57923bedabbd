"""Twinhull under a real systemd as PID 1, in a container on this machine: systemd-nspawn(1)."""
