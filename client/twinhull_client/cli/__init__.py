"""``twinhull``, the command line: one module a command, each thin over the bus or the pure policy code.

Start-up is part of the interface: a module here imports at its top only what ``--help`` needs, and the rest
inside the command that runs.
"""
