"""What can go wrong between a person's program and the daemon, and in the command line itself."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class DaemonUnreachable(TwinhullError):
    """The Twinhull service cannot be reached: {reason}."""

    code = "TH-CLI-001"
    blame = Blame.UNREACHABLE
    next_step = "Start it with 'sudo systemctl start twinhulld', or run the quickstart again."


class NotAuthorised(TwinhullError):
    """You are not allowed to do this on this computer."""

    code = "TH-CLI-002"
    blame = Blame.DENIED
    next_step = "Do it from the desktop session of the laptop's owner, or as an administrator with sudo."


class CallFailed(TwinhullError):
    """The Twinhull service could not answer: {reason}."""

    code = "TH-CLI-003"
    next_step = "Look at the service's log; if Twinhull was updated just now, restart the service."


class ReplyNotUnderstood(TwinhullError):
    """The Twinhull service answered in a form this program does not know: {reason}."""

    code = "TH-CLI-004"
    next_step = "Restart the service, so that it and this program are of the same version."


class SecretTooLong(TwinhullError):
    """The {kind} is longer than {limit} bytes."""

    code = "TH-CLI-005"
    blame = Blame.MALFORMED
    next_step = "Check that you gave the right file."


class SecretMissing(TwinhullError):
    """No {kind} was given and there is no terminal to ask for it."""

    code = "TH-CLI-006"
    blame = Blame.MALFORMED
    next_step = "Give it in a file, or '-' for standard input; the command's --help names the option."


class PassphrasesDiffer(TwinhullError):
    """The two are not the same {kind}."""

    code = "TH-CLI-007"
    blame = Blame.MALFORMED
    next_step = "Run the command again and type the same twice."


class FileNotReadable(TwinhullError):
    """{path} cannot be read: {reason}."""

    code = "TH-CLI-008"
    blame = Blame.MALFORMED
    next_step = "Check the path and its permissions."


class BadUsage(TwinhullError):
    """{detail}"""

    code = "TH-CLI-009"
    blame = Blame.MALFORMED
    next_step = "Run the command with --help to see what it takes."


class BadUrl(TwinhullError):
    """The server address is not usable: {reason}."""

    code = "TH-CLI-010"
    blame = Blame.MALFORMED
    next_step = "Give the address as your administrator wrote it, such as https://fleet.example:8443."


class AnswersNotPrivate(TwinhullError):
    """{path} holds secrets and others can read it (mode {mode})."""

    code = "TH-CLI-012"
    blame = Blame.MALFORMED
    next_step = "Run 'chmod 600' on it; if others may have read it, ask for a new enrolment token."


class AnswersMalformed(TwinhullError):
    """The answer file is not as docs/answers.md says: {reason}."""

    code = "TH-CLI-013"
    blame = Blame.MALFORMED
    next_step = "Correct the file; docs/answers.md has a complete example."


class NotConfirmed(TwinhullError):
    """Nothing was changed: {action} was not confirmed."""

    code = "TH-CLI-014"
    next_step = "Run it again and answer 'yes', or give --yes in a script."


class UnknownDevice(TwinhullError):
    """There is no device {id}."""

    code = "TH-CLI-015"
    next_step = "Run 'twinhull device list' to see the devices there are."


class CanaryFailed(TwinhullError):
    """The VPN proof failed: {canaries}."""

    code = "TH-CLI-016"
    next_step = "Run 'twinhull doctor'; stop the corporate partition until it passes."


class ImageWaitExpired(TwinhullError):
    """The {partition} image did not arrive within {minutes} minutes."""

    code = "TH-CLI-017"
    next_step = "Run 'twinhull status' to see the download; run this command again to go on waiting."


class Interrupted(TwinhullError):
    """Interrupted; what the service had begun, it may still finish."""

    code = "TH-CLI-018"
    next_step = "Run 'twinhull status' to see where things stand."


class PartNotInstalled(TwinhullError):
    """{part} is not installed on this computer: {reason}."""

    code = "TH-CLI-019"
    next_step = "Install Twinhull with the extra for it, as installer/quickstart does."


class FingerprintNotCompared(TwinhullError):
    """There is no terminal to compare the server's fingerprint on, and none was given."""

    code = "TH-CLI-020"
    blame = Blame.MALFORMED
    next_step = "Give --server-fingerprint, as 'twinhull-server fingerprint' prints it on the server."


class FingerprintNotConfirmed(TwinhullError):
    """The server's fingerprint was not confirmed, so nothing was enrolled."""

    code = "TH-CLI-021"
    blame = Blame.DENIED
    next_step = "If the approval page shows another one, somebody may be between you and the server."


class ServerDiffers(TwinhullError):
    """The server at {server} has the fingerprint {found}, not the one given; nothing was enrolled."""

    code = "TH-CLI-022"
    blame = Blame.DENIED
    next_step = "Check the address. If it is right, somebody may be between you and the server."


class FileNotWritable(TwinhullError):
    """{path} cannot be written: {reason}."""

    code = "TH-CLI-023"
    blame = Blame.MALFORMED
    next_step = "Name a file that does not exist yet, in a directory of yours; nothing was changed."


class NothingToGoBackTo(TwinhullError):
    """The {partition} partition has no {what} to go back to."""

    code = "TH-CLI-024"
    next_step = (
        "'twinhull partition snapshot' makes one; 'twinhull partition snapshots' lists those there are."
    )


class WipeNotProved(TwinhullError):
    """The {partition} partition is gone, and something did not hold: {what}."""

    code = "TH-CLI-025"
    next_step = "Keep the receipt ('twinhull log'); where it matters, destroy the laptop's disk itself."


class Unexpected(TwinhullError):
    """Twinhull met an error nobody foresaw ({kind})."""

    code = "TH-CLI-099"
    next_step = "Run it again as 'twinhull --debug …' and report it with the log that names."
