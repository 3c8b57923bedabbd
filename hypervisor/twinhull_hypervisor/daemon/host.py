"""What this host is: its isolation grade, whether KVM works, its devices.

The KVM probe boots a kernel and takes seconds, so its result is kept for this process's life; everything
else is read anew each time.
"""

from __future__ import annotations

import pwd
import threading
from pathlib import Path

from twinhull_policy.api.types import DeviceInfo, Grade
from twinhull_policy.model import Policy

from ..devices.usb import list_usb_devices
from ..domain.connection import Hypervisor
from ..domain.grade import Encryption, grade, mac_driver, read_facts, require_confinement
from ..domain.probe import ProbeResult, probe_kvm
from ..settings import HostSettings

PROBE_SECONDS = 20.0
"""KVM boots a kernel to its panic in one or two; a machine that cannot do it in twenty does not do it."""


class Host:
    """Facts about the host, looked at when asked."""

    def __init__(self, hypervisor: Hypervisor, settings: HostSettings, probe_kernel: Path) -> None:
        self._hypervisor = hypervisor
        self._settings = settings
        self._probe_kernel = probe_kernel
        self._probed: ProbeResult | None = None
        self._lock = threading.Lock()
        self.encryption: Encryption = ""

    def kvm(self) -> ProbeResult:
        """Whether KVM runs a stock kernel here. Blocks for up to PROBE_SECONDS the first time."""
        with self._lock:
            if self._probed is None:
                if self._probe_kernel.exists():
                    user = pwd.getpwnam("th-corporate")
                    self._probed = probe_kvm(
                        self._hypervisor,
                        self._probe_kernel,
                        timeout_seconds=PROBE_SECONDS,
                        uid=user.pw_uid,
                        gid=user.pw_gid,
                    )
                else:
                    self._probed = ProbeResult(
                        False, f"There is no test kernel at {self._probe_kernel}, so KVM was not tried."
                    )
            return self._probed

    def confined(self) -> bool:
        """Whether libvirt confines QEMU with AppArmor or SELinux."""
        return bool(mac_driver(self._hypervisor))

    def require_confinement(self) -> None:
        """Raise Unconfined unless there is mandatory access control or the owner accepted its absence."""
        require_confinement(self._settings, mac_driver(self._hypervisor))

    def grade(self) -> Grade:
        """The isolation grade with a reason per check."""
        return grade(read_facts(self._hypervisor, kvm=self.kvm(), encryption=self.encryption))

    def devices(self, policy: Policy | None) -> list[DeviceInfo]:
        """The USB devices that are plugged in, and what the evaluator says of each."""
        return list_usb_devices(policy)
