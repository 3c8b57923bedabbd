"""What a laptop in everyday use shows: the state the stand-in daemon starts with."""

from __future__ import annotations

import base64
import time
from typing import Any

from twinhull_policy.api.types import (
    DeviceInfo,
    EnrolmentInfo,
    Grade,
    GradeCheck,
    ImageInfo,
    LogEntry,
    PartitionInfo,
    PartitionState,
    PolicyInfo,
    Status,
    VpnInfo,
)
from twinhull_policy.canonical import encode
from twinhull_policy.kinds import Kind
from twinhull_policy.trust.documents import RECEIPT_TYPE, Receipt, WipeReceipt

DIGEST = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"


def demonstration_status(
    *,
    enrolled: bool = True,
    corporate: PartitionState = "running",
    personal: PartitionState = "running",
    vpn: VpnInfo | None = None,
) -> Status:
    """A plausible status; with ``enrolled`` False, that of a fresh machine."""
    grade = Grade(
        grade="E",
        checks=[
            GradeCheck(
                name="hardware virtualisation", passed=True, caps_at="E", reason="a guest booted under KVM"
            ),
            GradeCheck(
                name="mandatory access control",
                passed=False,
                caps_at="E",
                reason="AppArmor is off",
                fix="Boot with apparmor=1.",
            ),
        ],
    )
    if not enrolled:
        return Status(
            version="0.1.0",
            started_at=1_790_000_000.0,
            enrolment=EnrolmentInfo(enrolled=False),
            policy=PolicyInfo(),
            vpn=VpnInfo(state="down", reason="not enrolled"),
            partitions=[
                PartitionInfo(name="corporate", state="absent"),
                PartitionInfo(name="personal", state="absent"),
            ],
            images=[],
            grade=grade,
        )
    up = VpnInfo(
        state="up",
        kind="wireguard-go",
        gateway="203.0.113.2:51820",
        address="10.77.1.5/32",
        last_handshake=time.time() - 20,
        received_bytes=4_400_000,
        sent_bytes=310_000,
        interfaces=["lo", "th-corp0", "th-wg0"],
        confined=True,
    )
    return Status(
        version="0.1.0",
        started_at=1_790_000_000.0,
        enrolment=EnrolmentInfo(
            enrolled=True,
            server="https://localhost:8443",
            tenant="example",
            device_id="laptop-1",
            enrolled_at=1_790_000_000.0,
            connected=True,
        ),
        policy=PolicyInfo(
            sequence=3,
            name="everyday",
            sha256=DIGEST,
            applied_at=1_790_000_100.0,
            expires_at=1_900_000_000.0,
            lease_ends_at=1_900_000_000.0,
            document="{}",
        ),
        vpn=vpn or up,
        partitions=[
            PartitionInfo(
                name=name,
                state=state,
                image=f"{name}-desktop",
                image_sha256=DIGEST,
                accelerator="emulation",
                encryption="qemu-luks",
                unlocked=state not in ("absent", "locked"),
                memory_mib=2048,
                vcpus=2,
                disk_gib=16,
                started_at=1_790_000_200.0 if state == "running" else 0.0,
            )
            for name, state in (("corporate", corporate), ("personal", personal))
        ],
        images=[
            ImageInfo(
                name=f"{name}-desktop",
                partition=name,
                sha256=DIGEST,
                size_bytes=900_000_000,
                received_bytes=900_000_000,
                ready=True,
            )
            for name in ("corporate", "personal")
        ],
        grade=grade,
        owner_phrase="amber kettle",
    )


def demonstration_devices() -> list[DeviceInfo]:
    """One device in each state."""

    def usb(port: str, name: str, kind: Kind, **fields: Any) -> DeviceInfo:
        return DeviceInfo(id=f"usb-{port}", bus="usb", name=name, port=port, kind=kind, **fields)

    return [
        usb(
            "1-1",
            "Example Keyboard (keyboard), port 1-1",
            Kind.KEYBOARD,
            verdict="host",
            rule="host:boot-input",
            reason="Keyboards and pointers stay with the host.",
            state="host",
        ),
        usb(
            "1-2",
            "Example Flash Drive (storage), left port",
            Kind.STORAGE,
            verdict="ask",
            rule="corporate:company-sticks owner:storage",
            reason="The person at the laptop decides.",
            state="asking",
            targets=["corporate", "personal"],
            remember=True,
            model="0951:1666",
            blocks=True,
            interfaces=["08:06:50"],
        ),
        usb(
            "1-3",
            "Logitech C920 (camera), right port",
            Kind.CAMERA,
            verdict="personal",
            rule="answer",
            reason="The owner chose the personal partition before.",
            state="attached",
            attached_to="personal",
            targets=["personal"],
            model="046d:082d",
            interfaces=["0e:01:00", "0e:02:00", "01:01:00", "01:02:00"],
        ),
        usb(
            "2-1",
            "Unknown Keyboard (keyboard), port 2-1",
            Kind.KEYBOARD,
            verdict="host",
            rule="host:boot-input",
            reason="A new keyboard is let in once its code was typed on it.",
            state="admission",
            code="482913",
            typed=2,
        ),
        usb(
            "2-2",
            "YubiKey 5 (security-key), port 2-2",
            Kind.SECURITY_KEY,
            verdict="corporate",
            rule="corporate:company-keys",
            reason="It goes there once the corporate partition runs.",
            state="waiting",
            targets=["corporate"],
            model="1050:0407",
        ),
        usb(
            "2-3",
            "Gadget (composite), port 2-3",
            Kind.COMPOSITE,
            verdict="deny",
            rule="host:input-and-more",
            reason="It is a keyboard, pointer or hub and more.",
        ),
        usb(
            "2-4",
            "Typing Stick (keyboard), port 2-4",
            Kind.KEYBOARD,
            verdict="host",
            rule="host:boot-input",
            reason="It typed faster than a person can.",
            state="suspended",
        ),
    ]


def demonstration_receipts() -> list[LogEntry]:
    """Lines of the log with receipts: of an erased corporate computer by its employer, and by its owner."""
    receipt = Receipt(
        tenant="example",
        device_id="laptop-1",
        enrol_epoch=1,
        command=DIGEST,
        number=7,
        action="wipe",
        state="done",
        at=1_790_000_100,
        detail="The corporate partition's keys and contents are destroyed.",
        removed=["keys", "contents", "firmware-variables"],
        personal_before=DIGEST,
        personal_after=DIGEST,
    )
    wipe = WipeReceipt(
        tenant="example",
        device_id="laptop-1",
        enrol_epoch=1,
        partition="personal",
        at=1_790_000_000,
        removed=["keys", "headers", "contents"],
        survived=[],
        other_before=DIGEST,
        other_after=DIGEST,
    )
    payload = base64.b64encode(encode(receipt)).decode()
    signature = f'{{"keyid":"{DIGEST}","sig":"AAAA"}}'
    envelope = f'{{"payload":"{payload}","payloadType":"{RECEIPT_TYPE}","signatures":[{signature}]}}'
    return [
        LogEntry(
            at=1_790_000_000.0,
            kind="done",
            text="You wiped the personal partition; this is its receipt",
            body=encode(wipe).decode(),
        ),
        LogEntry(
            at=1_790_000_100.0,
            kind="reported",
            text="Receipt for command 7 (wipe): done",
            body=envelope,
        ),
    ]
