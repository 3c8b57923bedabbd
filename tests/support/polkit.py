"""A stand-in for polkit, which allows everybody everything: what is under test comes after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sdbus import dbus_method_async_override, sd_bus_open_system
from twinhull_hypervisor.daemon.authority import PolkitInterface

NAME = "org.freedesktop.PolicyKit1"


class Polkit(PolkitInterface):
    """The method that is used."""

    @dbus_method_async_override()
    async def check_authorization(
        self,
        subject: tuple[str, dict[str, tuple[str, Any]]],
        action_id: str,
        details: dict[str, str],
        flags: int,
        cancellation_id: str,
    ) -> tuple[bool, bool, dict[str, str]]:
        """Yes."""
        return True, False, {}


@asynccontextmanager
async def running_polkit() -> AsyncIterator[None]:
    """Serve it on the bus that ``DBUS_SYSTEM_BUS_ADDRESS`` names."""
    bus = sd_bus_open_system()
    authority = Polkit()
    handle = authority.export_to_dbus("/org/freedesktop/PolicyKit1/Authority", bus)
    await bus.request_name_async(NAME, 0)
    try:
        yield
    finally:
        handle.stop()
        bus.close()
