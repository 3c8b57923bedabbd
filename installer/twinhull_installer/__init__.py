"""The installer: what ``installer/quickstart``, ``installer/services`` and ``installer/test`` are made of.

Standard library only: it runs under Debian's own ``/usr/bin/python3`` before anything else is installed.
"""
