"""What this host is: its isolation grade, and whether KVM works.

The KVM probe boots a kernel and takes seconds, so its result is kept until the next boot or a change of
``/dev/kvm``; everything else is read anew each time.
"""

from __future__ import annotations

import pwd
import threading
from pathlib import Path

import msgspec
from twinhull_policy.api.types import Grade, GradeCheck

from ..domain.connection import Hypervisor
from ..domain.errors import HypervisorUnreachable
from ..domain.grade import Encryption, grade, mac_driver, read_facts, require_confinement
from ..domain.probe import ProbeResult, probe_kvm
from ..settings import HostSettings
from .state import State

PROBE_SILENCE_SECONDS = 20.0
"""KVM boots a kernel to its panic in one or two; one that has printed nothing for twenty has stopped."""


class _Probed(msgspec.Struct, frozen=True, kw_only=True):
    """A stored probe, and the circumstances it holds for."""

    circumstances: str
    works: bool
    reason: str


class Host:
    """Facts about the host, looked at when asked."""

    def __init__(
        self, hypervisor: Hypervisor, settings: HostSettings, state: State, probe_kernel: Path
    ) -> None:
        self._hypervisor = hypervisor
        self._settings = settings
        self._probe_kernel = probe_kernel
        self._state = state
        self._probed: ProbeResult | None = None
        self._lock = threading.Lock()
        self.encryption: Encryption = ""

    def kvm(self) -> ProbeResult:
        """Whether KVM runs a stock kernel here; blocks while that is tried out, once a boot."""
        with self._lock:
            if self._probed is None:
                circumstances = self._circumstances()
                stored = self._state.get("probe", _Probed)
                if stored is not None and stored.circumstances == circumstances:
                    self._probed = ProbeResult(stored.works, stored.reason)
                else:
                    self._probed = self._probe()
                    works, reason = self._probed.works, self._probed.reason
                    self._state.put("probe", _Probed(circumstances=circumstances, works=works, reason=reason))
            return self._probed

    def _probe(self) -> ProbeResult:
        if not self._probe_kernel.exists():
            return ProbeResult(
                False, f"There is no test kernel at {self._probe_kernel}, so KVM was not tried."
            )
        user = pwd.getpwnam("th-corporate")
        return probe_kvm(
            self._hypervisor,
            self._probe_kernel,
            silence_seconds=PROBE_SILENCE_SECONDS,
            uid=user.pw_uid,
            gid=user.pw_gid,
        )

    def _circumstances(self) -> str:
        """What a probe's result depends on: this boot, the device's permissions, the kernel that is tried."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        seen = [boot]
        for path in (Path("/dev/kvm"), self._probe_kernel):
            try:
                status = path.stat()
                seen.append(f"{status.st_mode:o} {status.st_gid} {status.st_size} {status.st_mtime_ns}")
            except FileNotFoundError:
                seen.append("absent")
        return "; ".join(seen)

    def confined(self) -> bool:
        """Whether libvirt confines QEMU with AppArmor or SELinux."""
        return bool(mac_driver(self._hypervisor))

    def require_confinement(self) -> None:
        """Raise Unconfined unless there is mandatory access control or the owner accepted its absence."""
        require_confinement(self._settings, mac_driver(self._hypervisor))

    def grade(self) -> Grade:
        """The isolation grade with a reason per check; KVM counts as failed while it is being tried."""
        kvm = self._probed or ProbeResult(False, "Whether KVM works is being tried out just now.")
        try:
            return grade(read_facts(self._hypervisor, kvm=kvm, encryption=self.encryption))
        except HypervisorUnreachable as error:
            check = GradeCheck(
                name="hypervisor", passed=False, caps_at="E", reason=error.message, fix=error.next_step
            )
            return Grade(grade="E", checks=[check])
