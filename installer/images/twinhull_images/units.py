"""What of Debian's boot has nothing to do in a guest, and costs an emulated one its seconds.

Under emulation each program that starts costs a noticeable part of a second, whether it then does anything
or not. A unit or generator is switched off by a link to /dev/null (systemd.unit(5), systemd.generator(7)), so
that whoever needs it in a partition of their own removes the link.
"""

from __future__ import annotations

from dataclasses import dataclass

from .recipe import Kind


@dataclass(frozen=True)
class Idle:
    """What is switched off in an image.

    Attributes:
        units: names of units.
        generators: names of programs that make units up while systemd starts.
    """

    units: tuple[str, ...]
    generators: tuple[str, ...]

    def links(self) -> tuple[str, ...]:
        """The paths below the root that become links to /dev/null."""
        units = (f"etc/systemd/system/{unit}" for unit in self.units)
        return (*units, *(f"etc/systemd/system-generators/{name}" for name in self.generators))


# The root is mounted writable by the initial RAM disk and /etc/fstab is empty; accounts are made when
# packages are installed; the kernel's debugging, huge pages and configfs are for who asks for them, and the
# modules of device mapper and loop devices are loaded when their device nodes are opened.
_EVERYWHERE = Idle(
    units=(
        "dev-hugepages.mount",
        "modprobe@configfs.service",
        "modprobe@dm_mod.service",
        "modprobe@loop.service",
        "sys-kernel-config.mount",
        "sys-kernel-debug.mount",
        "sys-kernel-tracing.mount",
        "systemd-remount-fs.service",
        "systemd-sysusers.service",
    ),
    generators=(
        "systemd-cryptsetup-generator",
        "systemd-gpt-auto-generator",
        "systemd-hibernate-resume-generator",
        "systemd-integritysetup-generator",
        "systemd-veritysetup-generator",
    ),
)
# A console for tests: one login with no services of its own, a journal in memory, no FUSE.
_CONSOLE = Idle(
    units=(
        "dev-mqueue.mount",
        "kmod-static-nodes.service",
        "modprobe@drm.service",
        "modprobe@fuse.service",
        "proc-sys-fs-binfmt_misc.automount",
        "sys-fs-fuse-connections.mount",
        "systemd-binfmt.service",
        "systemd-initctl.socket",
        "systemd-journal-flush.service",
        "systemd-journald-audit.socket",
        "systemd-modules-load.service",
        "systemd-tmpfiles-setup-dev.service",
        "systemd-update-utmp-runlevel.service",
        "systemd-update-utmp.service",
        "user@.service",
    ),
    generators=(
        "systemd-debug-generator",
        "systemd-fstab-generator",
        "systemd-getty-generator",
        "systemd-rc-local-generator",
        "systemd-run-generator",
        "systemd-system-update-generator",
        "systemd-sysv-generator",
    ),
)


def idle(kind: Kind) -> Idle:
    """What an image of this kind is better without."""
    if kind is Kind.DESKTOP:
        return _EVERYWHERE
    return Idle(
        units=(*_EVERYWHERE.units, *_CONSOLE.units),
        generators=(*_EVERYWHERE.generators, *_CONSOLE.generators),
    )
