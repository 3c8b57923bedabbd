"""``twinhull status``: the whole state on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call

if TYPE_CHECKING:
    from twinhull_policy.api.types import EnrolmentInfo, Grade, ImageInfo, LeaseInfo, PolicyInfo, VpnInfo


def status(json: output.Json = False) -> None:
    """Show partitions, VPN, policy, enrolment and isolation grade."""
    from twinhull_client.cli.partition import show_partitions

    state = call(lambda daemon: daemon.status())
    if json:
        output.emit(state)
        return
    output.say(f"Twinhull {state.version}, running since {output.when(state.started_at)}")
    if state.safe_mode:
        output.say(f"SAFE MODE: {state.safe_mode} 'twinhull doctor' says what to do.")
    output.say()
    show_partitions(state.partitions)
    _images([image for image in state.images if not image.ready])
    output.say()
    show_vpn(state.vpn)
    _policy(state.policy, state.lease)
    _enrolment(state.enrolment)
    _grade(state.grade)


def show_vpn(vpn: VpnInfo) -> None:
    """Print the VPN's block."""
    traffic = f"{output.size(vpn.received_bytes)} received, {output.size(vpn.sent_bytes)} sent"
    output.fields(
        f"VPN: {vpn.state}" + (f" ({vpn.reason})" if vpn.reason else ""),
        [
            ("gateway", vpn.gateway),
            ("address", vpn.address),
            ("handshake", output.ago(vpn.last_handshake) if vpn.gateway else ""),
            ("traffic", traffic if vpn.gateway else ""),
            ("tunnel", vpn.kind),
            ("namespace", ", ".join(vpn.interfaces)),
            ("confined", ("yes" if vpn.confined else "NO") if vpn.interfaces else ""),
            ("proved", _proof(vpn)),
            ("sign-in page", vpn.portal),
        ],
    )


def _proof(vpn: VpnInfo) -> str:
    if not vpn.proved_at:
        return ""
    failed = f"; FAILED: {', '.join(vpn.proof_failed)}" if vpn.proof_failed else ", nothing leaked"
    return output.ago(vpn.proved_at) + failed


def _images(arriving: list[ImageInfo]) -> None:
    for image in arriving:
        share = 100 * image.received_bytes // max(1, image.size_bytes)
        output.say(f"Image {image.name} for {image.partition}: {share} % of {output.size(image.size_bytes)}")


def _policy(policy: PolicyInfo, lease: LeaseInfo) -> None:
    warned = lease.stage not in ("none", "held")
    output.fields(
        f"Policy: {policy.name}" if policy.sequence else "Policy: none yet",
        [
            ("statement", str(policy.sequence or "")),
            ("applied", output.when(policy.applied_at)),
            ("expires", output.when(policy.expires_at)),
            ("lease until", output.when(policy.lease_ends_at)),
            ("lease", f"{lease.stage}. {lease.reason}" if warned else ""),
            ("last refusal", policy.last_refusal),
            *(("warning", sentence) for sentence in policy.warnings),
        ],
    )


def _enrolment(enrolment: EnrolmentInfo) -> None:
    if not enrolment.enrolled:
        output.say("Enrolment: not enrolled; 'twinhull enroll URL' does it")
        return
    output.fields(
        f"Enrolment: {enrolment.device_id} of {enrolment.tenant}",
        [
            ("server", enrolment.server),
            ("since", output.when(enrolment.enrolled_at)),
            ("connected", "yes" if enrolment.connected else "no"),
        ],
    )


def _grade(grade: Grade) -> None:
    failed = [check for check in grade.checks if not check.passed]
    output.fields(
        f"Isolation grade: {grade.grade}" + (" ('twinhull doctor' says how to raise it)" if failed else ""),
        [(check.name, check.reason) for check in failed],
    )
