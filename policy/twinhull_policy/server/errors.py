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


class TooManyRequests(TwinhullError):
    """Too many requests came from this address."""

    code = "TH-SRV-036"
    blame = Blame.DENIED
    next_step = "Wait a minute, then try again."


class SignInNeeded(TwinhullError):
    """Nobody is signed in, or the session is over."""

    code = "TH-SRV-040"
    blame = Blame.DENIED
    next_step = "Sign in."


class SignInRefused(TwinhullError):
    """Name, password or code is wrong."""

    code = "TH-SRV-041"
    blame = Blame.DENIED
    next_step = "Try again with the next code; an owner can reset a lost password or authenticator."


class RoleNeeded(TwinhullError):
    """This needs the role '{role}'."""

    code = "TH-SRV-042"
    blame = Blame.DENIED
    next_step = "Ask an owner to do it, or to give you the role."


class AccountExists(TwinhullError):
    """There is an account '{name}' already."""

    code = "TH-SRV-043"
    next_step = "Use it, or choose another name."


class UnknownAccount(TwinhullError):
    """There is no account '{name}'."""

    code = "TH-SRV-044"
    next_step = "See 'twinhull-server account list'."


class WeakPassword(TwinhullError):
    """The password is not between {shortest} and {longest} characters long, or holds the account's name."""

    code = "TH-SRV-045"
    blame = Blame.MALFORMED
    next_step = "Choose another; several words in a row are easy to keep."


class FormNotOurs(TwinhullError):
    """The form was not sent from a page of this session."""

    code = "TH-SRV-046"
    blame = Blame.DENIED
    next_step = "Go back, load the page again, and send it again."


class UnknownDraft(TwinhullError):
    """There is no open draft number {number}."""

    code = "TH-SRV-047"
    next_step = "See 'twinhull-server policy drafts'."


class UnknownRollout(TwinhullError):
    """There is no rollout number {number} that is still open."""

    code = "TH-SRV-048"
    next_step = "See 'twinhull-server rollout list'."


class RolloutOpen(TwinhullError):
    """A rollout to group '{group}' is under way."""

    code = "TH-SRV-049"
    next_step = "Finish or withdraw it first."


class UnknownGrant(TwinhullError):
    """No laptop waits with the code '{user_code}'."""

    code = "TH-SRV-050"
    next_step = "Compare the code with the laptop's screen; it is good for ten minutes."


class UnknownApproval(TwinhullError):
    """There is no open request number {number}."""

    code = "TH-SRV-051"
    next_step = "Ask for it again; a request is good for a day."


class SecondPersonNeeded(TwinhullError):
    """Somebody else than {name} has to approve this."""

    code = "TH-SRV-052"
    blame = Blame.DENIED
    next_step = "Ask another administrator to look at it and approve it."


class NotApproved(TwinhullError):
    """Request number {number} is not approved for exactly this, or was used."""

    code = "TH-SRV-053"
    blame = Blame.DENIED
    next_step = "Have a second administrator approve it; an approval is good once."


class GrantsFull(TwinhullError):
    """Too many laptops wait for an answer."""

    code = "TH-SRV-054"
    next_step = "Answer or deny the ones that wait, then try again."


class MethodNotAllowed(TwinhullError):
    """This address does not answer that method."""

    code = "TH-SRV-055"
    blame = Blame.MALFORMED
    next_step = "See the server's /v1/openapi.json for what it answers."


class PolicyUnsigned(TwinhullError):
    """The policy body is not signed by the policy key that the root names: {detail}."""

    code = "TH-SRV-056"
    blame = Blame.DENIED
    next_step = "Sign it with 'twinhull-server policy sign' where the policy key is."


class ShareWithheld(TwinhullError):
    """This laptop is locked, so its part of the volume's key is not given out."""

    code = "TH-SRV-062"
    next_step = "Have an administrator unlock it: twinhull-server device unlock."


class AuditBroken(TwinhullError):
    """The audit log was touched: {detail}."""

    code = "TH-SRV-057"
    next_step = "Compare it with a backup, and find out who could write to the database."


class RemoteUnreachable(TwinhullError):
    """The server at {url} does not answer: {detail}."""

    code = "TH-SRV-058"
    blame = Blame.UNREACHABLE
    next_step = "Check the address, the port of --admin-listen, and the CA file."


class CannotWrite(TwinhullError):
    """The server cannot use its disk now; nothing was changed."""

    code = "TH-SRV-060"
    next_step = "Try again later. Whoever runs the server: its disk may be full, and its log has the reason."


class NoConsole(TwinhullError):
    """This server has no console where somebody could let a laptop in."""

    code = "TH-SRV-059"
    next_step = "Enrol with a token, or have the server started with --admin-listen."


class KeyNotMade(TwinhullError):
    """The key was not made: {path} cannot be written ({detail})."""

    code = "TH-SRV-061"
    blame = Blame.MALFORMED
    next_step = "Name a file that does not exist yet; a key that is there is never replaced."
