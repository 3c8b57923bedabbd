"""What the command line and the serving process say to each other over ``admin.sock``."""

from __future__ import annotations

CHANGED = b"changed\n"
DONE = b"done\n"
ADMIN_SECONDS = 120.0
"""How long the command line waits for the server to have pushed a change."""
