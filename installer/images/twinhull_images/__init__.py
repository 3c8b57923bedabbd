"""Builds the golden images of both partitions from Debian packages; standard library only."""
