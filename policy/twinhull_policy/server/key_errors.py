"""What changing keys and roots can run into (codes TH-SRV-1xx)."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class UnknownRole(TwinhullError):
    """There is no role '{role}'."""

    code = "TH-SRV-100"
    blame = Blame.MALFORMED
    next_step = "The roles are in 'twinhull-server key list'."


class BadChange(TwinhullError):
    """'{text}' is not a change of the form {form}."""

    code = "TH-SRV-101"
    blame = Blame.MALFORMED
    next_step = "See 'twinhull-server root draft --help'."


class KeyNotInRole(TwinhullError):
    """The role {role} has no key {keyid}, or '{keyid}' stands for several of them."""

    code = "TH-SRV-102"
    next_step = "See 'twinhull-server key list' for the key ids."


class KeyInUse(TwinhullError):
    """The key {keyid} already serves the role {role}; every role needs keys of its own."""

    code = "TH-SRV-103"
    next_step = "Make another with 'twinhull-server key new'."


class TooFewKeys(TwinhullError):
    """The role {role} would have {keys} keys, and needs {threshold} signatures."""

    code = "TH-SRV-104"
    next_step = "Add a key in the same change, or lower the threshold."


class ThresholdFixed(TwinhullError):
    """The role {role} is signed with one key; only the root's threshold can be changed, from 1 to 16."""

    code = "TH-SRV-105"
    blame = Blame.MALFORMED
    next_step = "Leave --threshold to 'root=N'."


class NotADraft(TwinhullError):
    """{path} is not the draft of a root: {detail}."""

    code = "TH-SRV-106"
    blame = Blame.MALFORMED
    next_step = "Make one with 'twinhull-server root draft'."


class NotAPublicKey(TwinhullError):
    """{path} is not a public key file."""

    code = "TH-SRV-107"
    blame = Blame.MALFORMED
    next_step = "'twinhull-server key new FILE' writes it as FILE.pub."


class SignaturesMissing(TwinhullError):
    """The draft of root version {version} lacks signatures: {missing}."""

    code = "TH-SRV-108"
    next_step = "Sign it with 'twinhull-server root sign', then publish again."


class DraftStale(TwinhullError):
    """The draft is of root version {found}, and version {expected} comes next."""

    code = "TH-SRV-109"
    next_step = "Somebody published another root meanwhile; draft the change again."


class FileExists(TwinhullError):
    """{path} is there already."""

    code = "TH-SRV-110"
    next_step = "Choose another name; nothing was overwritten."


class PrivateKeyMissing(TwinhullError):
    """The private half of the {role} key that this root would name is not at {directory}."""

    code = "TH-SRV-111"
    next_step = "Attach the medium that holds it; without it the server could not sign any more."
