"""What twinhull-netd refuses or fails at."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class BadNetworkArgument(TwinhullError):
    """The network settings are refused: {detail}."""

    code = "TH-NET-001"
    blame = Blame.MALFORMED
    next_step = "Correct the 'vpn' section of the policy, or the host settings for the personal side."


class TapBusy(TwinhullError):
    """The network link of the {partition} partition is in use by a running virtual machine."""

    code = "TH-NET-002"
    blame = Blame.FAILED
    next_step = "Stop the partition first: 'twinhull partition stop'."


class TapMissing(TwinhullError):
    """The {partition} partition has no network link to connect."""

    code = "TH-NET-003"
    blame = Blame.FAILED
    next_step = "Start the partition again: 'twinhull partition start'."


class NotConfined(TwinhullError):
    """The network of the {partition} partition is not confined, so its link stays down: {reason}."""

    code = "TH-NET-004"
    blame = Blame.FAILED
    next_step = "Stop the partition and start it again; its network is then built anew."


class UnderlayMissing(TwinhullError):
    """The network namespace {namespace}, which host settings name as the underlay, does not exist."""

    code = "TH-NET-005"
    blame = Blame.FAILED
    next_step = "Correct 'underlay_namespace' in /etc/twinhull/host.json, or run installer/quickstart again."


class TunnelFailed(TwinhullError):
    """The VPN tunnel could not be made: {reason}."""

    code = "TH-NET-006"
    blame = Blame.FAILED
    next_step = "Run 'twinhull doctor'; the corporate partition has no network until the tunnel is there."


class NetworkDown(TwinhullError):
    """The network of the {partition} partition is not up."""

    code = "TH-NET-007"
    blame = Blame.FAILED
    next_step = "Check 'twinhull vpn status'; the partition cannot run before its network is up."


class NetworkChangeFailed(TwinhullError):
    """The kernel refused a network change: {reason}."""

    code = "TH-NET-008"
    blame = Blame.FAILED
    next_step = "Run 'twinhull doctor' to see what needs attention."
