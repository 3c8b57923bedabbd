"""The arguments of devd's verbs: closed schemas with bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta
from twinhull_policy.names import Partition

from .errors import BadDeviceArgument

PORT_PATTERN = r"^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}$"
"""``<bus>-<port>[.<port>…]``, as sysfs names a device; seven tiers at most (USB 2.0, 4.1.1)."""

Port = Annotated[str, Meta(pattern=PORT_PATTERN, max_length=32)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Use = Literal["host", "guest"]
T = TypeVar("T")


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class NoArguments(_Struct, frozen=True):
    """A verb that takes none."""


class UsbArguments(_Struct, frozen=True):
    """`usb`: the devices after this port in their order, as many as fit in one answer."""

    after: Annotated[str, Meta(pattern=r"^$|" + PORT_PATTERN, max_length=32)] = ""


class PortArgument(_Struct, frozen=True):
    """`revoke`."""

    port: Port


class DecidedDevice(_Struct, frozen=True):
    """Which device was decided on: everything here is compared again through the handle written to."""

    port: Port
    sha256: Sha256
    busnum: Annotated[int, Meta(ge=1, le=999)]
    devnum: Annotated[int, Meta(ge=1, le=127)]


class AuthoriseArguments(DecidedDevice, frozen=True):
    """`authorise`."""

    use: Use


class LendArguments(DecidedDevice, frozen=True):
    """`lend`: storage, read-only, to this partition's machine."""

    partition: Partition


class AdmitArguments(DecidedDevice, frozen=True):
    """`admit`."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{6}$")]


def parse(untrusted_arguments: dict[str, Any], shape: type[T]) -> T:
    """Arguments in the shape of a verb. Raises BadDeviceArgument naming the field."""
    try:
        return msgspec.convert(untrusted_arguments, shape)
    except msgspec.ValidationError as error:
        raise BadDeviceArgument(detail=str(error).rstrip(".")) from error
