"""What can be wrong with signed documents, one class each."""

from __future__ import annotations

from typing import ClassVar

from ..errors import Blame, TwinhullError

_ASK = "Tell your administrator; the last good policy stays in force."


class TrustError(TwinhullError):
    """A signed document was refused: {detail}."""

    code: ClassVar[str] = "TH-TRU-001"
    blame: ClassVar[Blame] = Blame.DENIED
    next_step: ClassVar[str] = _ASK


class DocumentTooLarge(TrustError):
    """The {what} is larger than the {limit} bytes allowed."""

    code: ClassVar[str] = "TH-TRU-002"
    blame: ClassVar[Blame] = Blame.MALFORMED


class EnvelopeMalformed(TrustError):
    """The signed envelope cannot be read: {detail}."""

    code: ClassVar[str] = "TH-TRU-003"
    blame: ClassVar[Blame] = Blame.MALFORMED


class WrongPayloadType(TrustError):
    """The envelope holds {found}, where {expected} was expected."""

    code: ClassVar[str] = "TH-TRU-004"


class SignatureInvalid(TrustError):
    """The {what} is not signed by enough keys of the role "{role}"."""

    code: ClassVar[str] = "TH-TRU-005"


class RootMalformed(TrustError):
    """The root of trust cannot be read: {detail}."""

    code: ClassVar[str] = "TH-TRU-006"
    blame: ClassVar[Blame] = Blame.MALFORMED


class RootNotPinned(TrustError):
    """The root of trust is not the one the enrolment token names."""

    code: ClassVar[str] = "TH-TRU-007"
    next_step: ClassVar[str] = (
        "Do not enrol. Ask your administrator for a new token and tell them about this."
    )


class RootVersionWrong(TrustError):
    """Root version {found} was offered where version {expected} must come next."""

    code: ClassVar[str] = "TH-TRU-008"


class RootExpired(TrustError):
    """The root of trust expired, so nothing new is accepted."""

    code: ClassVar[str] = "TH-TRU-009"
    next_step: ClassVar[str] = (
        "Ask your administrator to publish a new root; the policy in force stays in force."
    )


class TooManyRotations(TrustError):
    """More than {limit} new roots were offered at once."""

    code: ClassVar[str] = "TH-TRU-010"


class RoleNotDelegated(TrustError):
    """The root of trust names no keys for the role "{role}"."""

    code: ClassVar[str] = "TH-TRU-011"


class StatementMalformed(TrustError):
    """The statement cannot be read: {detail}."""

    code: ClassVar[str] = "TH-TRU-020"
    blame: ClassVar[Blame] = Blame.MALFORMED


class StatementForAnotherTenant(TrustError):
    """The statement is for another company."""

    code: ClassVar[str] = "TH-TRU-021"


class StatementForAnotherDevice(TrustError):
    """The statement is for another laptop."""

    code: ClassVar[str] = "TH-TRU-022"


class StatementForAnotherEpoch(TrustError):
    """The statement belongs to another enrolment of this laptop ({found}, not {expected})."""

    code: ClassVar[str] = "TH-TRU-023"


class StatementOlder(TrustError):
    """The statement is older ({found}) than the one in force ({last})."""

    code: ClassVar[str] = "TH-TRU-024"


class StatementEquivocates(TrustError):
    """Two different statements carry the number {seq}: the server or somebody before it is not honest."""

    code: ClassVar[str] = "TH-TRU-025"
    next_step: ClassVar[str] = "Tell your administrator at once: a signing key may be stolen."


class StatementOutOfChain(TrustError):
    """Statement {seq} does not follow the one in force."""

    code: ClassVar[str] = "TH-TRU-026"


class StatementFromTheFuture(TrustError):
    """The statement was issued {seconds} seconds in the future."""

    code: ClassVar[str] = "TH-TRU-027"
    next_step: ClassVar[str] = "Check this laptop's clock; if it is right, tell your administrator."


class StatementExpired(TrustError):
    """The statement expired."""

    code: ClassVar[str] = "TH-TRU-028"
    next_step: ClassVar[str] = (
        "Check this laptop's clock and connection; the last good policy stays in force."
    )


class StatementValidTooLong(TrustError):
    """The statement's dates make no sense: it would be valid for {seconds} seconds."""

    code: ClassVar[str] = "TH-TRU-029"


class RootUpdateNeeded(TrustError):
    """The statement needs root version {needed}, and this laptop has {have}."""

    code: ClassVar[str] = "TH-TRU-030"
    next_step: ClassVar[str] = "It is fetched by itself at the next connection; check 'twinhull status'."


class BodyHashWrong(TrustError):
    """The policy body is not the one the statement names."""

    code: ClassVar[str] = "TH-TRU-040"


class CommandMalformed(TrustError):
    """The command cannot be read: {detail}."""

    code: ClassVar[str] = "TH-TRU-070"
    blame: ClassVar[Blame] = Blame.MALFORMED


class CommandNotOfRole(TrustError):
    """The role "{role}" may not command "{action}"."""

    code: ClassVar[str] = "TH-TRU-071"
    next_step: ClassVar[str] = "Tell your administrator at once: a signing key may be stolen."


class CommandForAnother(TrustError):
    """The command is for another laptop, company or enrolment."""

    code: ClassVar[str] = "TH-TRU-072"


class CommandReplayed(TrustError):
    """Command {found} was sent again, or comes after command {last}."""

    code: ClassVar[str] = "TH-TRU-073"


class CommandValidTooLong(TrustError):
    """The command's dates make no sense: it could be begun for {seconds} seconds."""

    code: ClassVar[str] = "TH-TRU-074"


class CommandFromTheFuture(TrustError):
    """The command was issued {seconds} seconds in the future."""

    code: ClassVar[str] = "TH-TRU-075"
    next_step: ClassVar[str] = "Check this laptop's clock; if it is right, tell your administrator."


class CommandExpired(TrustError):
    """The command came too late to be begun."""

    code: ClassVar[str] = "TH-TRU-076"
    next_step: ClassVar[str] = "Nothing was done. Your administrator can send it again."


class ReceiptMalformed(TrustError):
    """The receipt cannot be read: {detail}."""

    code: ClassVar[str] = "TH-TRU-080"
    blame: ClassVar[Blame] = Blame.MALFORMED
    next_step: ClassVar[str] = "Laptop and server may run different versions; update the older one."


class ReceiptForAnother(TrustError):
    """The receipt speaks for another laptop than the one that signed it."""

    code: ClassVar[str] = "TH-TRU-081"
    next_step: ClassVar[str] = "It was not kept. Ask how that laptop came by it."


class MetadataMalformed(TrustError):
    """The repository's {role} metadata cannot be read: {detail}."""

    code: ClassVar[str] = "TH-TRU-050"
    blame: ClassVar[Blame] = Blame.MALFORMED


class MetadataExpired(TrustError):
    """The repository's {role} metadata expired."""

    code: ClassVar[str] = "TH-TRU-051"
    next_step: ClassVar[str] = "Check this laptop's clock and connection; nothing changes until it is fresh."


class MetadataRolledBack(TrustError):
    """The repository's {role} metadata is version {found}, and version {seen} was already seen."""

    code: ClassVar[str] = "TH-TRU-052"


class MetadataMismatch(TrustError):
    """The repository's {role} metadata is not the one its {by} metadata names."""

    code: ClassVar[str] = "TH-TRU-053"


class ImageNotListed(TrustError):
    """The golden image {target} is not the one the signed list of images names."""

    code: ClassVar[str] = "TH-TRU-054"


class TokenMalformed(TrustError):
    """This is not an enrolment token."""

    code: ClassVar[str] = "TH-TRU-060"
    blame: ClassVar[Blame] = Blame.MALFORMED
    next_step: ClassVar[str] = "Copy the whole token; it begins with 'th1.' and has four parts."
