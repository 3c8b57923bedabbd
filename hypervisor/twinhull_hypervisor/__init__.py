"""The host side of Twinhull: the core daemon and its helpers."""
