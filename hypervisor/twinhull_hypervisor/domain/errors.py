"""What can go wrong with a partition's virtual machine."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class BadMachine(TwinhullError):
    """The virtual machine of {partition} cannot be made: its {field} is out of bounds."""

    code = "TH-PAR-101"
    blame = Blame.MALFORMED
    next_step = "Correct the policy's partition section and push it again."


class HypervisorUnreachable(TwinhullError):
    """The hypervisor (libvirt) cannot be reached: {reason}"""

    code = "TH-PAR-102"
    blame = Blame.UNREACHABLE
    next_step = "Run 'systemctl status libvirtd', or installer/quickstart again."


class HypervisorRefused(TwinhullError):
    """The hypervisor would not {action}: {reason}"""

    code = "TH-PAR-103"
    blame = Blame.FAILED
    next_step = "Run 'twinhull doctor' to see what needs attention."


class NoMachine(TwinhullError):
    """The partition {partition} is not running."""

    code = "TH-PAR-104"
    blame = Blame.FAILED
    next_step = "Start it with 'twinhull partition start'."


class Unconfined(TwinhullError):
    """This host has no mandatory access control (AppArmor or SELinux), so no partition is started."""

    code = "TH-PAR-105"
    blame = Blame.DENIED
    next_step = (
        "Enable AppArmor (kernel command line: apparmor=1 security=apparmor), or set allow_unconfined "
        "in /etc/twinhull/host.json to accept isolation grade E."
    )
