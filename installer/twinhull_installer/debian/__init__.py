"""``installer/package``: the Debian packages of laptop and fleet server, the same bytes every time."""
