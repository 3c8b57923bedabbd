"""What the installer says when it cannot go on: one class each, as everywhere in Twinhull.

The first line of the docstring is the sentence a person reads, ``code`` is stable and unique and
``next_step`` says what to do. It mirrors ``twinhull_policy.errors``, which needs a library that is not
installed yet when this runs.
"""

from __future__ import annotations

from typing import ClassVar


class InstallerError(Exception):
    """The installation failed: {detail}."""

    code: ClassVar[str] = "TH-INS-001"
    next_step: ClassVar[str] = "Read the end of {log}, then run the same command again."

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        self.message = (type(self).__doc__ or "").strip().splitlines()[0].format(**fields)
        super().__init__(self.message)


class NotRoot(InstallerError):
    """This changes the system and has to run as root."""

    code = "TH-INS-002"
    next_step = "Run it again with sudo: sudo {command}"


class UnsupportedSystem(InstallerError):
    """Twinhull needs Debian 12 or later, and this is {system}."""

    code = "TH-INS-003"
    next_step = "Try it on Debian 12, in a virtual machine if need be."


class UnsupportedMachine(InstallerError):
    """Twinhull runs on x86_64 processors, and this one is {machine}."""

    code = "TH-INS-004"
    next_step = "Try it on a 64-bit Intel or AMD machine."


class DiskFull(InstallerError):
    """{path} has {free} GB free, and this needs {needed} GB."""

    code = "TH-INS-005"
    next_step = "Free some space there, or use --small, which needs less."


class CommandFailed(InstallerError):
    """'{command}' failed{detail}."""

    code = "TH-INS-006"


class CommandTimedOut(InstallerError):
    """'{command}' did not end within {seconds} seconds."""

    code = "TH-INS-007"


class BadUnit(InstallerError):
    """The unit file {path} cannot be used here: {detail}."""

    code = "TH-INS-008"
    next_step = "Restore the file from the source tree."


class ServiceFailed(InstallerError):
    """The service {name} does not stay up."""

    code = "TH-INS-009"
    next_step = "Read the end of its log in /var/log/twinhull/, then run the same command again."


class NoSuchService(InstallerError):
    """There is no service called {name}."""

    code = "TH-INS-010"
    next_step = "Use one of: {known}."


class CannotStartAtBoot(InstallerError):
    """Twinhull cannot be started with this computer: {reason}."""

    code = "TH-INS-020"
    next_step = "Start it by hand: /opt/twinhull/services start. Nothing was changed."


class WaitedTooLong(InstallerError):
    """Waited {seconds} seconds for {what}, in vain{detail}."""

    code = "TH-INS-011"
    next_step = (
        "Run 'twinhull status' and 'twinhull doctor', read the end of {log}, then run the same command again."
    )


class AlreadyRunning(InstallerError):
    """Another run of the installer is under way."""

    code = "TH-INS-012"
    next_step = "Wait until it ends, then run the same command again."


class NotOurs(InstallerError):
    """{path} is not something the installer makes, so it does not remove it."""

    code = "TH-INS-013"
    next_step = "Check /var/lib/twinhull-quickstart/made.json: it may have been edited."


class BadUsage(InstallerError):
    """{detail}."""

    code = "TH-INS-014"
    next_step = "Run it with --help to see what it takes."


class LaptopInTheWay(InstallerError):
    """A Twinhull laptop is installed on this machine, and the tests install and remove one of their own."""

    code = "TH-INS-015"
    next_step = "Run 'installer/quickstart --down' first, or run the tests on another machine."


class NotInLock(InstallerError):
    """{name} is needed and is not in requirements.lock as it is."""

    code = "TH-INS-021"
    next_step = "Write the lock anew as CONTRIBUTING.md says, or remove the wheelhouse and build again."


class PackageInstalled(InstallerError):
    """Twinhull is installed on this machine from its Debian package."""

    code = "TH-INS-023"
    next_step = "Use that one, or remove it first: apt-get remove twinhull twinhull-server"


class NotACommit(InstallerError):
    """This source tree has no commit to name and date a package by."""

    code = "TH-INS-022"
    next_step = "Build from a git clone, or set SOURCE_DATE_EPOCH to the seconds since 1970 of this release."


class BadAnswers(InstallerError):
    """The answer file is not as docs/answers.md says: {reason}."""

    code = "TH-INS-024"
    next_step = (
        "Correct the file; /opt/twinhull/lib/docs/answers.md has a complete example. Nothing was changed."
    )


class NoSuchOwner(InstallerError):
    """The owner {owner} has no account of a person on this computer."""

    code = "TH-INS-025"
    next_step = "Make the account first, or name another one in 'laptop.host'. Nothing was changed."


class NotConfined(InstallerError):
    """This kernel has no mandatory access control driver (AppArmor, SELinux), so no partition would start."""

    code = "TH-INS-026"
    next_step = 'Boot it with AppArmor, or accept less with "allow_unconfined": true. Nothing was changed.'


class NoMemory(InstallerError):
    """The personal partition is to have {wanted} MiB of memory, and this computer has {there} MiB."""

    code = "TH-INS-027"
    next_step = "Give it less in 'laptop.host.personal'. Nothing was changed."


class NoRoom(InstallerError):
    """{path} has {free} GB free, and the volumes and images need {needed} GB."""

    code = "TH-INS-028"
    next_step = "Free some space there, or make 'laptop.volumes' smaller. Nothing was changed."


class ServerNotReached(InstallerError):
    """The fleet server {url} cannot be reached: {reason}."""

    code = "TH-INS-029"
    next_step = "Check the address and this computer's network. Nothing was changed."


class NotTheServer(InstallerError):
    """What answers at {url} is not the server that the token is of."""

    code = "TH-INS-030"
    next_step = "Check address and token; if both are right, somebody is between. Nothing was changed."


class NotUp(InstallerError):
    """The new version {version} does not come up: {reason}."""

    code = "TH-INS-031"
    next_step = "The version from before is put back; keep {log}, and install a later one."
