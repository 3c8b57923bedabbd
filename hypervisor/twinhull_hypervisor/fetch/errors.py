"""What fetching and enrolling can run into (codes TH-ENR-*, below 200)."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class BadServerAddress(TwinhullError):
    """'{url}' is not the address of a fleet server."""

    code = "TH-ENR-001"
    blame = Blame.MALFORMED
    next_step = "Use the address as your administrator gave it, like https://fleet.example:8443."


class ServerUnreachable(TwinhullError):
    """The fleet server {server} cannot be reached: {detail}."""

    code = "TH-ENR-002"
    next_step = "Check the network connection and the address; it is safe to try again."


class WrongServer(TwinhullError):
    """The server at this address is not the one the token was made for."""

    code = "TH-ENR-003"
    blame = Blame.DENIED
    next_step = "Do not enrol. Somebody may be between you and the server; ask your administrator."


class BadServerAnswer(TwinhullError):
    """The fleet server's answer makes no sense: {detail}."""

    code = "TH-ENR-004"
    next_step = "Laptop and server may run different versions of Twinhull; tell your administrator."


class EnrolledWithAnother(TwinhullError):
    """This laptop is enrolled with {server} already."""

    code = "TH-ENR-005"
    blame = Blame.DENIED
    next_step = "Leave that company first."


class NotEnrolled(TwinhullError):
    """This laptop is not enrolled."""

    code = "TH-ENR-006"
    next_step = "Enrol it with 'twinhull enroll'."


class BadArguments(TwinhullError):
    """The request to the fetcher is malformed: {detail}."""

    code = "TH-ENR-007"
    blame = Blame.MALFORMED
    next_step = "The two processes may be of different versions; restart Twinhull."


class StateDamaged(TwinhullError):
    """The fetcher's record {path} is damaged: {detail}."""

    code = "TH-ENR-008"
    next_step = "Restore it from a backup, or remove the directory and start again from the trusted root."


class BodyMissing(TwinhullError):
    """The server did not send the policy body that its statement names."""

    code = "TH-ENR-009"
    next_step = "Nothing to do: the last policy stays in force and it is tried again."


class GrantDenied(TwinhullError):
    """The request to let this laptop in was refused."""

    code = "TH-ENR-010"
    blame = Blame.DENIED
    next_step = "Ask your administrator why; then run the command again for a new code."


class GrantExpired(TwinhullError):
    """Nobody let this laptop in before its code expired."""

    code = "TH-ENR-011"
    next_step = "Run the command again for a new code, and have somebody ready who can answer it."


class GrantForAnotherServer(TwinhullError):
    """The server let this laptop in with a token for another server than the one shown."""

    code = "TH-ENR-012"
    blame = Blame.DENIED
    next_step = "Nothing was enrolled. Somebody may be between you and the server; tell your administrator."


class NoGrant(TwinhullError):
    """No request to be let in is waiting that belongs to this command."""

    code = "TH-ENR-013"
    next_step = "Run 'twinhull enroll URL --device-code' again; another one may have taken its place."


class StreamHeldBack(TwinhullError):
    """Nothing of the push stream has arrived within {seconds} seconds."""

    code = "TH-ENR-014"
    next_step = "Nothing to do: the server is asked in another way."


class RepositoryRefused(TwinhullError):
    """The repository was refused: {detail}."""

    code = "TH-ENR-020"
    blame = Blame.DENIED
    next_step = "Nothing was changed. If it stays so, tell your administrator."


class RepositoryUnreachable(TwinhullError):
    """The repository could not be read: {detail}."""

    code = "TH-ENR-021"
    next_step = "Check the network connection and the address; it is safe to try again."


class OlderThanSeen(TwinhullError):
    """The repository offers {role} version {found}, and version {seen} was seen before."""

    code = "TH-ENR-022"
    blame = Blame.DENIED
    next_step = (
        "Nothing was changed. Somebody may be showing this laptop an old state; tell your administrator."
    )


class RepositoryExpired(TwinhullError):
    """The repository's {role} metadata has expired at the latest time proven."""

    code = "TH-ENR-023"
    blame = Blame.DENIED
    next_step = "Nothing was changed. Check this laptop's clock, and tell your administrator."


class NotInitialised(TwinhullError):
    """{directory} holds no trusted root."""

    code = "TH-ENR-024"
    next_step = "Run 'twinhull-fetch --metadata-dir DIR init TRUSTED_ROOT_FILE' first."


class RootAlreadySet(TwinhullError):
    """{directory} was set up with another trusted root."""

    code = "TH-ENR-025"
    next_step = "Use another directory, or remove this one if you mean to start over."


class TargetUnknown(TwinhullError):
    """The repository lists no target {name}, or lists other content for it."""

    code = "TH-ENR-026"
    next_step = "Check the name; the repository may not have published it yet."


class TargetWrong(TwinhullError):
    """What was downloaded for {name} is not what the repository lists."""

    code = "TH-ENR-027"
    blame = Blame.DENIED
    next_step = "It was thrown away. Try again; if it stays so, tell your administrator."


class TrustedRootUnusable(TwinhullError):
    """The trusted root file cannot be used: {detail}."""

    code = "TH-ENR-028"
    blame = Blame.MALFORMED
    next_step = "Check the path and that it is a root.json."


class LocalFailure(TwinhullError):
    """The fetcher cannot use its own files: {detail}."""

    code = "TH-ENR-029"
    next_step = "Check that the disk is not full and that the directory may be written."
