"""What runs out, told in time: an expired root or list of images stops every laptop."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from tuf.api.metadata import Metadata, Root

from twinhull_policy.server import repository
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import device_ca_path, server_ca_path, server_certificate_path

DAY = 86400.0


@dataclass(frozen=True)
class Expiry:
    """Something that runs out.

    Attributes:
        what: in words.
        expires_at: seconds since the epoch.
        warn_days: from so many days before on it is a warning.
        remedy: the command that renews it.
    """

    what: str
    expires_at: float
    warn_days: int
    remedy: str

    def warning(self, now: float) -> str:
        """One sentence if it is time to act, else empty."""
        left = self.expires_at - now
        if left <= 0:
            return f"The {self.what} has expired: laptops accept nothing new. Renew it: {self.remedy}."
        if left <= self.warn_days * DAY:
            return f"The {self.what} expires in {int(left // DAY)} days. Renew it: {self.remedy}."
        return ""


def expiries(layout: Layout) -> list[Expiry]:
    """Everything that runs out."""
    root = Metadata[Root].from_bytes(repository.root_chain(layout)[-1]).signed
    found = [
        Expiry("root of trust", root.expires.timestamp(), 60, "'twinhull-server root rotate'"),
        Expiry(
            "list of images",
            repository.targets_expiry(layout),
            21,
            "'twinhull-server image renew', with the targets key attached",
        ),
    ]
    for what, path in (
        ("server's certificate", server_certificate_path(layout)),
        ("server's CA", server_ca_path(layout)),
        ("devices' CA", device_ca_path(layout)),
    ):
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
        found.append(Expiry(what, ends, 60, "there is no command for it yet; see docs/known-issues.md"))
    return found


def warnings(layout: Layout, now: float) -> list[str]:
    """A sentence for each thing that needs renewing."""
    return [text for expiry in expiries(layout) if (text := expiry.warning(now))]
