"""The leak table: every row, in an order that changes the underlay as seldom as possible."""

from __future__ import annotations

from . import host, hostile_guest, hostile_network, lifecycle, personal  # noqa: F401 - these fill the table
from .scenario import TABLE, UNDERLAYS, Scenario

_PLACES = {underlay: place for place, underlay in enumerate(UNDERLAYS)}

ROWS: tuple[Scenario, ...] = tuple(sorted(TABLE, key=lambda row: _PLACES[row.underlay]))
ANYWHERE = tuple(row for row in ROWS if not row.own_kernel)
"""Those that any machine can play which may make namespaces."""
