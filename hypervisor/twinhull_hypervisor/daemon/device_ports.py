"""What the device manager needs of others: the helper that touches devices, and the machines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from twinhull_policy.names import Partition

from ..devices.arguments import Use
from ..devices.results import Authorised, Event, PciFacts, UsbDevice
from ..domain.hostdev import Guest, Holding


class Devd(Protocol):
    """``twinhull-devd``. All but ``watch`` block; all raise HelperUnreachable, and RemoteError to refuse."""

    def usb(self) -> tuple[list[UsbDevice], bool]:
        """Every USB device, and whether this machine was restricted from its boot on."""

    def authorise(self, device: UsbDevice, use: Use) -> Authorised:
        """Let the host or a guest use exactly this device."""

    def lend(self, device: UsbDevice, partition: Partition) -> str:
        """Have the blocks of exactly this storage device served, read-only; the socket for that machine."""

    def revoke(self, port: str) -> None:
        """Let nobody use it."""

    def admit(self, device: UsbDevice, code: str) -> None:
        """Wait for six digits to be typed on exactly this keyboard."""

    def pci(self) -> PciFacts:
        """Every PCI function."""

    def watch(self) -> AsyncIterator[Event]:
        """What happens; first ``lost``, for what happened before."""


class Guests(Protocol):
    """The machines. Methods block and raise HypervisorUnreachable, and HypervisorRefused to refuse."""

    def guests(self) -> Mapping[Partition, Guest]:
        """The machines there are, with what each holds."""

    def attach(self, holding: Holding, socket: str = "") -> None:
        """Give a USB device to a running machine, or the blocks that are served at ``socket``."""

    def detach(self, holding: Holding) -> None:
        """Take it back."""

    def detach_pci(self, partition: Partition, address: str) -> None:
        """Take a PCI function from a running machine."""
