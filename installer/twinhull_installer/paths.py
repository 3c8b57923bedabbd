"""Where the installer puts things, in one place (docs/architecture.md, "Files")."""

from __future__ import annotations

from pathlib import Path

PREFIX = Path("/opt/twinhull")
VENV = PREFIX / "venv"
"""A link to the environment in use, one of VENVS."""
VENVS = PREFIX / "venvs"
SOURCE_STAMP = VENV / ".twinhull-source"
"""Names the state of the sources the installed program was built from."""
PROGRAM = PREFIX / "lib"
"""The installed copy of this package and of the unit files, so that the source tree may go away."""
PROBE_KERNEL = PREFIX / "share" / "probe-kernel"
SERVICES_COMMAND = PREFIX / "services"
UNITS = PROGRAM / "systemd"

STATE = Path("/var/lib/twinhull-quickstart")
JOURNAL = STATE / "made.json"
PASSPHRASES = STATE / "passphrases"
LOG = Path("/var/log/twinhull-quickstart.log")
LOCK = Path("/run/twinhull-quickstart.lock")
"""Held by every command of a run, see ``journal.exclusive``."""
SERVICE_LOGS = Path("/var/log/twinhull")
SERVICE_RUN = Path("/run/twinhull-services")
DAEMON_RUN = Path("/run/twinhull-quickstart")
CACHE = Path("/var/cache/twinhull")

HOST_SETTINGS = Path("/etc/twinhull/host.json")
BUS_POLICY = Path("/etc/dbus-1/system.d/org.twinhull.Daemon1.conf")
POLKIT_ACTIONS = Path("/usr/share/polkit-1/actions/org.twinhull.policy")
POLKIT_OWNER_RULE = Path("/etc/polkit-1/rules.d/50-twinhull-owner.rules")
SYSUSERS = Path("/etc/sysusers.d/twinhull.conf")
TMPFILES = Path("/etc/tmpfiles.d/twinhull.conf")
MODPROBE_USB = Path("/etc/modprobe.d/twinhull-usb.conf")
MODULES_USB = Path("/etc/modules-load.d/twinhull-usb.conf")
UDEV_USB = Path("/etc/udev/rules.d/79-twinhull-usb.rules")
SYSTEMD_UNITS = Path("/etc/systemd/system")
COMMANDS = Path("/usr/local/bin")

OWNER = "twinhull-owner"
"""The unprivileged account made when root runs the quickstart for nobody in particular."""
