"""PCI functions as sysfs shows them, and why one may not be passed through (R18).

Reading and judging are apart: :func:`read_facts` looks at sysfs and the kernel command line,
:func:`refusals` is pure. Sources: Documentation/ABI/testing/sysfs-bus-pci, sysfs-kernel-iommu_groups;
Documentation/driver-api/vfio.rst; Documentation/admin-guide/kernel-parameters.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import PciUnreadable
from .results import PciFacts, PciFunction

_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_REMAPPING_OFF = re.compile(r"nointremap|intremap=(.*,)?off(,.*)?|(intel_|amd_)?iommu=(.*,)?off(,.*)?")
_DMAR_FLAGS = 37
"""Offset of the flags: after the ACPI header of 36 bytes and the address width."""
_TRUE = frozenset({"y", "Y", "1"})
_BRIDGE = "06:"
"""Base class of bridges (PCI Code and ID Assignment, 1.7)."""

UNSAFE_MODULE_PARAMETERS = {
    "vfio_iommu_type1/parameters/allow_unsafe_interrupts": "allow_unsafe_interrupts",
}
"""Parameters of modules that undo the protection, below /sys/module."""


def unsafe_options(words: Iterable[str]) -> list[str]:
    """What on a kernel command line takes away the separation that passthrough rests on.

    ==========================================  =======================  ====================================
    option                                      reason                   what it does
    ==========================================  =======================  ====================================
    vfio_iommu_type1.allow_unsafe_interrupts=1  allow_unsafe_interrupts  a guest's device may raise any
                                                                         interrupt of the host
    pcie_acs_override=…                         pcie_acs_override        (a patch) claims separation that the
                                                                         switches do not enforce
    intel_iommu=…,relax_rmrr / relaxed_rmrr     relaxed_rmrr             passes devices the firmware still
                                                                         writes through
    …relaxed_acs_check                          relaxed_acs_check        (a patch) the same as ACS override
    pci=disable_acs_redir=…                     disable_acs_redir        peer to peer without the IOMMU
    pci=config_acs=…                            config_acs               ACS by hand
    intremap=nosid / off                        intremap                 interrupts not checked, or not at all
                                                                         remapped
    iommu=pt is fine: guests' devices are in domains of their own whatever the host's are in.
    ==========================================  =======================  ====================================
    """
    found: dict[str, None] = {}
    for word in words:
        name, _, value = word.replace("-", "_").partition("=")
        settings = re.split(r"[,;]", value)
        if name == "vfio_iommu_type1.allow_unsafe_interrupts" and value in _TRUE | {""}:
            found["allow_unsafe_interrupts"] = None
        if name == "pcie_acs_override" or any(s.startswith("pcie_acs_override") for s in settings):
            found["pcie_acs_override"] = None
        if "relaxed_acs_check" in word and value not in ("0", "n", "N"):
            found["relaxed_acs_check"] = None
        if any(setting in ("relax_rmrr", "relaxed_rmrr", "intel_relax_rmrr") for setting in settings):
            found["relaxed_rmrr"] = None
        if name == "pci":
            for option in ("disable_acs_redir", "config_acs"):
                if any(setting.startswith(option) for setting in settings):
                    found[option] = None
        if name == "intremap" and not {"off", "nosid"}.isdisjoint(settings):
            found["intremap"] = None
    return list(found)


def read_facts(sysfs: Path, command_line: Path = Path("/proc/cmdline")) -> PciFacts:
    """Every PCI function, whether interrupts are remapped, and what is unsafe; raises PciUnreadable."""
    try:
        words = command_line.read_text("utf-8", "replace").split()
        unsafe = unsafe_options(words)
        for parameter, reason in UNSAFE_MODULE_PARAMETERS.items():
            if _text(sysfs / "module" / parameter) in _TRUE and reason not in unsafe:
                unsafe.append(reason)
        for path in sorted((sysfs / "module").glob("*/parameters/relaxed_acs_check")):
            if _text(path) not in ("0", "N", "n", "") and "relaxed_acs_check" not in unsafe:
                unsafe.append("relaxed_acs_check")
        devices = sysfs / "bus/pci/devices"
        names = sorted(n.name for n in devices.iterdir()) if devices.is_dir() else []
        functions = [_function(devices / name) for name in names if _ADDRESS.fullmatch(name)]
        return PciFacts(remapping=_remapping(sysfs, words), unsafe=unsafe, functions=functions)
    except OSError as error:
        raise PciUnreadable(reason=error.strerror or "unknown") from error


def refusals(function: PciFunction, facts: PciFacts, wanted: Iterable[str] = ()) -> list[str]:
    """Why a function may not be given to a guest; empty if it may. Sentences without their full stop.

    Args:
        function: the one that is asked for.
        facts: of the whole machine.
        wanted: addresses that go to the same guest with it.
    """
    together = {function.address, *wanted}
    reasons = []
    if function.class_code.startswith(_BRIDGE):
        reasons.append("it is a bridge, which belongs to the computer itself")
    if not function.group:
        reasons.append("it is in no IOMMU group, so nothing keeps it from the memory of others")
    by_address = {other.address: other for other in facts.functions}
    strangers = [member for member in function.group_members if member not in together]
    # A PCIe bridge in the group is not passed on, and vfio leaves it with its driver (vfio.rst).
    left = [m for m in strangers if m not in by_address or not by_address[m].class_code.startswith(_BRIDGE)]
    if left:
        reasons.append(f"its IOMMU group {function.group} also holds {', '.join(left)}")
    if not facts.remapping:
        reasons.append("interrupts are not remapped, so it could raise the host's")
    if not function.reset_methods:
        reasons.append("it cannot be reset, so what one machine left in it would meet the next")
    if function.boot_vga:
        reasons.append("the host's own screen is on it")
    reasons += [f"the kernel runs with {option}, which undoes the separation" for option in facts.unsafe]
    return reasons


def _function(directory: Path) -> PciFunction:
    class_code = _text(directory / "class").removeprefix("0x").rjust(6, "0")
    group = directory / "iommu_group"
    members = sorted(p.name for p in (group / "devices").iterdir()) if (group / "devices").is_dir() else []
    driver = directory / "driver"
    return PciFunction(
        address=directory.name,
        vendor=_text(directory / "vendor").removeprefix("0x"),
        device=_text(directory / "device").removeprefix("0x"),
        class_code=":".join((class_code[:2], class_code[2:4], class_code[4:])),
        group=group.readlink().name if group.is_symlink() else "",
        group_members=members,
        reset_methods=_reset_methods(directory),
        driver=driver.readlink().name if driver.is_symlink() else "",
        boot_vga=_text(directory / "boot_vga") == "1",
        removable=_text(directory / "removable") == "removable",
    )


def _reset_methods(directory: Path) -> list[str]:
    """``reset_method`` lists them (Linux 5.15 and later); before there is only a ``reset`` to write."""
    if (directory / "reset_method").exists():
        return _text(directory / "reset_method").split()
    return ["unknown"] if (directory / "reset").exists() else []


def _remapping(sysfs: Path, words: Sequence[str]) -> bool:
    """Whether an IOMMU is there that remaps interrupts and nothing switched that off.

    Intel's says so in bit 3 (IR) of its extended capability register (VT-d specification, 10.4.3), and the
    firmware in bit 0 of the DMAR table's flags (8.1); AMD's remaps whenever it is on (AMD IOMMU
    specification, 2.2.5). vfio asks the kernel again when a group is opened.
    """
    if any(_REMAPPING_OFF.fullmatch(word) for word in words):
        return False
    units = sysfs / "class/iommu"
    if not units.is_dir():
        return False
    names = sorted(path.name for path in units.iterdir())
    intel = [_text(units / name / "intel-iommu/ecap") for name in names if name.startswith("dmar")]
    if intel:
        flags = _bytes(sysfs / "firmware/acpi/tables/DMAR")[_DMAR_FLAGS : _DMAR_FLAGS + 1]
        if flags and not flags[0] & 1:
            return False
        return all(_has_ir(ecap) for ecap in intel)
    return any(name.startswith("ivhd") for name in names)


def _has_ir(ecap: str) -> bool:
    try:
        return bool(int(ecap, 16) & 1 << 3)
    except ValueError:
        return False


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
