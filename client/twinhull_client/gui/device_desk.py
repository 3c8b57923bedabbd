"""Joins everything that shows devices to the daemon: page, panel, kill switches, the number in the rail."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from twinhull_policy.api.types import DeviceInfo, KillSwitch, Status
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.device_page import DevicesPage
from twinhull_client.gui.device_panel import DevicePanel
from twinhull_client.gui.device_wishes import Wish, fulfil
from twinhull_client.gui.home import HomePage


class DeviceDesk(QObject):
    """Owns the devices page and the panel.

    Signals:
        waiting: how many devices wait for the person.
    """

    waiting = Signal(int)

    def __init__(self, client: DaemonClient, home: HomePage, colours: dict[str, str]) -> None:
        super().__init__(home)
        self.client = client
        self.home = home
        self.page = DevicesPage(colours)
        self.panel = DevicePanel(colours)
        self._bars = (home.switches, self.page.switches)
        client.devices.connect(self._on_devices)
        client.devices_unknown.connect(self._on_unknown)
        self.page.wished.connect(self._from_page)
        self.panel.wished.connect(self._from_panel)
        for bar in self._bars:
            bar.asked.connect(self._switch)

    def show_status(self, status: Status) -> None:
        """Show what a fresh status says of devices."""
        self.page.show_status(status)

    def show_nothing(self) -> None:
        """The daemon does not answer."""
        self.panel.show_nothing()
        self.waiting.emit(0)

    def _on_devices(self, devices: list[DeviceInfo]) -> None:
        self.page.show_devices(devices)
        self.panel.show_devices(devices)
        self.waiting.emit(self.panel.waiting)

    def _on_unknown(self, error: TwinhullError) -> None:
        self.page.show_unknown(error)
        self.show_nothing()

    def _from_page(self, wish: Wish) -> None:
        self.page.begin(wish)
        self.client.run(
            lambda daemon: fulfil(daemon, wish),
            lambda _none: self.page.settle(wish, None),
            lambda error: self.page.settle(wish, error),
        )

    def _from_panel(self, wish: Wish) -> None:
        self.panel.begin()
        self.client.run(
            lambda daemon: fulfil(daemon, wish),
            lambda _none: self.panel.settle(wish, None),
            lambda error: self.panel.settle(wish, error),
        )

    def _switch(self, kind: KillSwitch, off: bool) -> None:
        self._switching(None, busy=True)
        self.client.run(
            lambda daemon: daemon.set_kill_switch(kind, off=off),
            lambda _none: self._switching(None, busy=False),
            lambda error: self._switching(error, busy=False),
        )

    def _switching(self, error: TwinhullError | None, *, busy: bool) -> None:
        for bar in self._bars:
            bar.set_busy(busy)
        self.home.switch_problem.say(error)
        self.page.failure.say(error)
