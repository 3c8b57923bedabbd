"""The repository plane: rollback, freeze, mix-and-match and wrong roles, refused; and the enrolment token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import MetaFile, Snapshot, Timestamp
from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust import errors
from twinhull_policy.trust.documents import ImageReference
from twinhull_policy.trust.limits import LIMITS
from twinhull_policy.trust.repository import HighWater, VerifiedTargets, verify_targets
from twinhull_policy.trust.root import update
from twinhull_policy.trust.token import EnrolmentToken, format_token, parse_token

from tests.support.signing import DAY, NOW, Corporate, Repository, key, moment, sign_metadata

COMPANY = Corporate()
ROOT = COMPANY.trusted()
IMAGE = ImageReference(target="images/corporate-0123456789abcdef.qcow2", sha256="01" * 32, length=4096)
GOOD = COMPANY.repository([IMAGE], versions=(5, 4, 3))


def verify(repository: Repository, high_water: HighWater = HighWater(), now: int = NOW) -> VerifiedTargets:  # noqa: B008 (frozen)
    return verify_targets(
        ROOT, repository.timestamp, repository.snapshot, repository.targets, now=now, high_water=high_water
    )


def test_a_good_repository_lists_its_image() -> None:
    verified = verify(GOOD)
    assert verified.high_water == HighWater(5, 4, 3)
    verified.check_image(IMAGE)
    assert verify(GOOD, verified.high_water).high_water == verified.high_water


@pytest.mark.parametrize(
    "other",
    [
        ImageReference(target="images/other.qcow2", sha256=IMAGE.sha256, length=IMAGE.length),
        ImageReference(target=IMAGE.target, sha256="02" * 32, length=IMAGE.length),
        ImageReference(target=IMAGE.target, sha256=IMAGE.sha256, length=IMAGE.length + 1),
    ],
)
def test_any_other_image_is_refused(other: ImageReference) -> None:
    with pytest.raises(errors.ImageNotListed):
        verify(GOOD).check_image(other)


def company_with(**keys: object) -> Corporate:
    """The same company, but another key signs for a role."""
    return replace(COMPANY, **keys)  # type: ignore[arg-type]


def without_targets() -> Repository:
    snapshot = sign_metadata(
        Snapshot(expires=moment(NOW + DAY), meta={"x.json": MetaFile(1)}), [COMPANY.snapshot_key]
    )
    return Repository(pointing_at(snapshot, 1), snapshot, GOOD.targets)


def pointing_at(snapshot: bytes, version: int) -> bytes:
    return sign_metadata(
        Timestamp(expires=moment(NOW + DAY), snapshot_meta=MetaFile.from_data(version, snapshot, ["sha256"])),
        [COMPANY.timestamp_key],
    )


def wrong_snapshot_version() -> Repository:
    return replace(GOOD, timestamp=pointing_at(GOOD.snapshot, 9))


def wrong_targets_version() -> Repository:
    snapshot = sign_metadata(
        Snapshot(expires=moment(NOW + DAY), meta={"targets.json": MetaFile(9)}), [COMPANY.snapshot_key]
    )
    return Repository(pointing_at(snapshot, 1), snapshot, GOOD.targets)


PAST = NOW - 1
LATER = NOW + DAY
ATTACKS: dict[str, tuple[Callable[[], Repository], type[TwinhullError]]] = {
    "timestamp of another key": (
        lambda: company_with(timestamp_key=key()).repository(),
        errors.SignatureInvalid,
    ),
    "snapshot of another key": (
        lambda: company_with(snapshot_key=key()).repository(),
        errors.SignatureInvalid,
    ),
    "targets of another key": (
        lambda: company_with(targets_key=key()).repository(),
        errors.SignatureInvalid,
    ),
    "targets signed by the timestamp key": (
        lambda: company_with(targets_key=COMPANY.timestamp_key).repository(),
        errors.SignatureInvalid,
    ),
    "expired timestamp": (
        lambda: COMPANY.repository(expires=(PAST, LATER, LATER)),
        errors.MetadataExpired,
    ),
    "expired snapshot": (lambda: COMPANY.repository(expires=(LATER, PAST, LATER)), errors.MetadataExpired),
    "expired targets": (lambda: COMPANY.repository(expires=(LATER, LATER, PAST)), errors.MetadataExpired),
    "another snapshot": (
        lambda: replace(GOOD, snapshot=COMPANY.repository().snapshot),
        errors.MetadataMismatch,
    ),
    "other targets": (lambda: replace(GOOD, targets=COMPANY.repository().targets), errors.MetadataMismatch),
    "snapshot version": (wrong_snapshot_version, errors.MetadataMismatch),
    "targets version": (wrong_targets_version, errors.MetadataMismatch),
    "snapshot without targets": (without_targets, errors.MetadataMismatch),
    "truncated timestamp": (
        lambda: replace(GOOD, timestamp=GOOD.timestamp[:-1]),
        errors.MetadataMalformed,
    ),
    "nothing": (lambda: replace(GOOD, timestamp=b""), errors.MetadataMalformed),
    "snapshot for timestamp": (
        lambda: replace(GOOD, timestamp=GOOD.snapshot),
        errors.MetadataMalformed,
    ),
    "too large": (
        lambda: replace(GOOD, timestamp=b" " * (LIMITS.timestamp_bytes + 1)),
        errors.DocumentTooLarge,
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(attack: str) -> None:
    build, expected = ATTACKS[attack]
    with pytest.raises(errors.TrustError) as refused:
        verify(build())
    assert type(refused.value) is expected


@pytest.mark.parametrize("seen", [HighWater(6, 4, 3), HighWater(5, 5, 3), HighWater(5, 4, 4)])
def test_what_is_below_high_water_is_refused(seen: HighWater) -> None:
    with pytest.raises(errors.MetadataRolledBack):
        verify(GOOD, seen)


def test_an_expired_root_stops_changes() -> None:
    with pytest.raises(errors.RootExpired):
        verify(GOOD, now=NOW + 366 * DAY)


def test_marks_go_back_only_when_the_keys_were_replaced() -> None:
    marks = HighWater(2**40, 2**40, 7)
    company = Corporate()
    old = company.trusted()
    same = update(old, company.root(2))
    assert marks.after_rotation(old, same) == marks
    company.timestamp_key = key()
    assert marks.after_rotation(same, update(same, company.root(3))) == HighWater()


@given(st.sampled_from(["timestamp", "snapshot", "targets"]), st.binary(max_size=200))
def test_random_bytes_are_refused(part: str, untrusted: bytes) -> None:
    with pytest.raises(TwinhullError):
        verify(replace(GOOD, **{part: untrusted}))


@given(st.integers(0, len(GOOD.timestamp) - 1), st.integers(1, 255))
def test_changed_timestamps_raise_nothing_strange(place: int, change: int) -> None:
    bent = bytearray(GOOD.timestamp)
    bent[place] ^= change
    try:
        verified = verify(replace(GOOD, timestamp=bytes(bent)))
    except TwinhullError:
        return
    assert verified.high_water == HighWater(5, 4, 3)  # outside what is signed: a key id's spelling and such


TOKEN = EnrolmentToken(bytes(range(32)), "ab" * 32, "cd" * 32)


def test_a_token_goes_there_and_back_and_hides_its_secret() -> None:
    text = format_token(TOKEN)
    assert parse_token(f" {text}\n") == TOKEN
    assert "secret" not in repr(TOKEN)


@pytest.mark.parametrize(
    "untrusted",
    [
        "",
        "th1",
        format_token(TOKEN)[:-1],
        format_token(TOKEN) + "0",
        "th2" + format_token(TOKEN)[3:],
        format_token(TOKEN).upper(),
        format_token(TOKEN).replace("8.", "9.", 1),
        "th1." * 1000,
        format_token(TOKEN).replace("a", "а"),  # noqa: RUF001 (Cyrillic on purpose)
    ],
)
def test_what_is_not_a_token_is_refused(untrusted: str) -> None:
    with pytest.raises(errors.TokenMalformed):
        parse_token(untrusted)
