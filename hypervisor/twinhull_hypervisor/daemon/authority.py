"""Asking polkit whether a caller may do something.

The subject is the caller's unique bus name, which the bus guarantees and nobody can reuse; a PID could be
recycled between the check and the act (polkit documents PID subjects as racy).
"""

from __future__ import annotations

from typing import Any, Protocol

from sdbus import DbusInterfaceCommonAsync, SdBus, dbus_method_async
from sdbus.exceptions import SdBusBaseError
from twinhull_policy.errors import Blame, TwinhullError

ALLOW_USER_INTERACTION = 1
"""CheckAuthorizationFlags (polkit D-Bus reference): ask the person for a password if the action says so."""


class NotAuthorised(TwinhullError):
    """You are not allowed to do this on this computer ({action})."""

    code = "TH-DMN-003"
    blame = Blame.DENIED
    next_step = "Log in as the owner of this laptop, or use sudo."


class AuthorityUnreachable(TwinhullError):
    """The system's authorisation service does not answer, so nothing can be allowed."""

    code = "TH-DMN-004"
    blame = Blame.UNREACHABLE
    next_step = "Check that polkit runs: 'systemctl status polkit'."


class Authority(Protocol):
    """Decides whether a bus peer may perform a polkit action."""

    async def check(self, sender: str, action: str) -> None:
        """Return if allowed. Raises NotAuthorised or AuthorityUnreachable."""


class PolkitInterface(DbusInterfaceCommonAsync, interface_name="org.freedesktop.PolicyKit1.Authority"):
    """The part of polkit's authority that is used."""

    @dbus_method_async(input_signature="(sa{sv})sa{ss}us", result_signature="(bba{ss})")
    async def check_authorization(
        self,
        subject: tuple[str, dict[str, tuple[str, Any]]],
        action_id: str,
        details: dict[str, str],
        flags: int,
        cancellation_id: str,
    ) -> tuple[bool, bool, dict[str, str]]:
        raise NotImplementedError


class Polkit:
    """The system's polkit authority."""

    def __init__(self, bus: SdBus) -> None:
        self._proxy = PolkitInterface.new_proxy(
            "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", bus
        )

    async def check(self, sender: str, action: str) -> None:
        """Ask polkit; the person may be asked for a password."""
        subject = ("system-bus-name", {"name": ("s", sender)})
        try:
            allowed, _, _ = await self._proxy.check_authorization(
                subject, action, {}, ALLOW_USER_INTERACTION, ""
            )
        except SdBusBaseError as error:
            raise AuthorityUnreachable from error
        if not allowed:
            raise NotAuthorised(action=action)
