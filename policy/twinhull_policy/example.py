"""A complete policy that shows every section; ``twinhull policy example`` prints it."""

from __future__ import annotations

from .model import (
    SCHEMA,
    DeviceRule,
    Direction,
    ExchangeSection,
    Gateway,
    HostSection,
    LeaseSection,
    Match,
    PartitionSection,
    Policy,
    Transfer,
    TypedTransfer,
    VpnSection,
)


def example_policy() -> Policy:
    """A policy that ``parse_policy`` accepts; it uses every section, and addresses for documentation."""
    return Policy(
        schema=SCHEMA,
        name="office",
        description="Office laptops: security keys and headsets, no storage, everything through the tunnel.",
        partition=PartitionSection(image="corporate-desktop", vcpus=2, memory_mib=4096, disk_gib=64),
        vpn=VpnSection(
            gateways=(
                Gateway(
                    name="first",
                    endpoint="203.0.113.2:51820",
                    public_key="ZXhhbXBsZS1nYXRld2F5LXB1YmxpYy1rZXktMDAwMDE=",
                ),
            ),
            routes=("0.0.0.0/0", "::/0"),
            dns=("10.77.0.1",),
            search="corp.example",
        ),
        devices=(
            DeviceRule(name="no-storage", match=Match(any_interface=("08:*:*",)), verdict="deny"),
            DeviceRule(
                name="company-keys", match=Match(bus="usb", vendor="1050", product="0407"), verdict="require"
            ),
            DeviceRule(
                name="audio",
                match=Match(bus="usb", every_interface=("01:*:*", "03:00:*"), removable=True),
                verdict="allow",
            ),
            DeviceRule(name="built-in-camera", match=Match(port="1-6", removable=False), verdict="allow"),
        ),
        exchange=ExchangeSection(
            to_corporate=Direction(
                clipboard=TypedTransfer(verdict="ask", limit_bytes=64 * 1024, types=("text/plain",)),
                urls=Transfer(verdict="ask"),
            ),
            from_corporate=Direction(urls=Transfer(verdict="allow", limit_bytes=8 * 1024)),
        ),
        lease=LeaseSection(offline_hours=168, warning_hours=24, network_hours=6, action="lock"),
        host=HostSection(least_grade="E", update_ring="stable"),
        report=("version", "policy", "partition", "image", "vpn", "grade"),
    )
