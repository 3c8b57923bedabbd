"""What the fleet server and its command line refuse, and why (codes TH-SRV-*)."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class AlreadyInitialised(TwinhullError):
    """{directory} already holds a fleet server."""

    code = "TH-SRV-001"
    next_step = "Use it with 'twinhull-server serve', or choose another --dir."


class NotInitialised(TwinhullError):
    """{directory} holds no fleet server."""

    code = "TH-SRV-002"
    next_step = "Make one with 'twinhull-server init'."


class StorageTooNew(TwinhullError):
    """The database has version {found}, and this program knows versions up to {known}."""

    code = "TH-SRV-003"
    next_step = "Install the newer Twinhull that made it."


class UnknownGroup(TwinhullError):
    """There is no group '{name}'."""

    code = "TH-SRV-004"
    next_step = "See 'twinhull-server group list', or make it with 'twinhull-server group new'."


class UnknownDevice(TwinhullError):
    """There is no device '{device_id}'."""

    code = "TH-SRV-005"
    next_step = "See 'twinhull-server device list'."


class UnknownToken(TwinhullError):
    """There is no open token number {number}."""

    code = "TH-SRV-006"
    next_step = "See 'twinhull-server token list'."


class BadName(TwinhullError):
    """'{name}' is not a name: lower-case letters, digits and '-', at most 32, starting with a letter."""

    code = "TH-SRV-007"
    blame = Blame.MALFORMED
    next_step = "Choose another name."


class StaleBase(TwinhullError):
    """The group's policy is {current}, no longer the {base} this change was based on."""

    code = "TH-SRV-008"
    next_step = "Look at the newer policy with 'twinhull-server policy show', merge, and publish again."


class UnknownPolicy(TwinhullError):
    """There is no published policy '{sha256}'."""

    code = "TH-SRV-009"
    next_step = "See 'twinhull-server policy list'."


class KeyUnavailable(TwinhullError):
    """The {role} key cannot be read at {path}."""

    code = "TH-SRV-010"
    next_step = "Attach the medium that holds it, or run the command as the user who may read it."


class FileUnreadable(TwinhullError):
    """{path} cannot be read: {detail}."""

    code = "TH-SRV-011"
    blame = Blame.MALFORMED
    next_step = "Check the path and its permissions."


class SubnetFull(TwinhullError):
    """No address is left in the tunnel subnet {subnet}."""

    code = "TH-SRV-012"
    next_step = "Release devices that are gone, or initialise with a larger --tunnel-subnet."


class BadRequest(TwinhullError):
    """The request is malformed: {detail}."""

    code = "TH-SRV-020"
    blame = Blame.MALFORMED
    next_step = "Laptop and server may run different versions of Twinhull; update the older one."


class TokenWrong(TwinhullError):
    """This enrolment token is not known to the server."""

    code = "TH-SRV-021"
    blame = Blame.DENIED
    next_step = "Check that it was copied whole, or ask for a new one."


class TokenUsed(TwinhullError):
    """This enrolment token was already used."""

    code = "TH-SRV-022"
    blame = Blame.DENIED
    next_step = "Ask for a new one; if you did not use it, tell whoever gave it to you."


class TokenExpired(TwinhullError):
    """This enrolment token has expired."""

    code = "TH-SRV-023"
    blame = Blame.DENIED
    next_step = "Ask for a new one."


class TokenRevoked(TwinhullError):
    """This enrolment token was withdrawn."""

    code = "TH-SRV-024"
    blame = Blame.DENIED
    next_step = "Ask for a new one."


class CertificateNeeded(TwinhullError):
    """This address is for enrolled devices."""

    code = "TH-SRV-025"
    blame = Blame.DENIED
    next_step = "Enrol this laptop first."


class DeviceRevoked(TwinhullError):
    """The company has revoked this device."""

    code = "TH-SRV-026"
    blame = Blame.DENIED
    next_step = "Ask your company's administrator."


class NotFound(TwinhullError):
    """The server has no such thing."""

    code = "TH-SRV-027"
    next_step = "Laptop and server may disagree about what is published; try again in a minute."


class TooManyAttempts(TwinhullError):
    """Too many failed enrolments came from this address."""

    code = "TH-SRV-028"
    blame = Blame.DENIED
    next_step = "Wait a minute, then try again."


class ServerFailed(TwinhullError):
    """The server failed to answer this request."""

    code = "TH-SRV-029"
    next_step = "The server's log says why; try again later."


class CannotListen(TwinhullError):
    """The server cannot listen on {address}: {detail}."""

    code = "TH-SRV-030"
    next_step = "Choose another --listen address, or stop what uses it."


class TargetConflict(TwinhullError):
    """The repository already lists {target} with other content or for another partition."""

    code = "TH-SRV-031"
    next_step = "Choose another --name."


class StorageFailed(TwinhullError):
    """The server's database or directory failed: {detail}."""

    code = "TH-SRV-032"
    next_step = "Check that the disk is not full and that you may write to the server's directory."


class GroupExists(TwinhullError):
    """There is a group '{name}' already."""

    code = "TH-SRV-033"
    next_step = "Use it, or choose another name."


class BadSetting(TwinhullError):
    """{option} cannot be '{value}'."""

    code = "TH-SRV-034"
    blame = Blame.MALFORMED
    next_step = "See 'twinhull-server COMMAND --help'."


class TokenNotForKey(TwinhullError):
    """This enrolment token was given to another laptop."""

    code = "TH-SRV-035"
    blame = Blame.DENIED
    next_step = "Ask for a token of your own."
