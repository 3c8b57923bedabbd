"""Devices as they are sold, and devices that pretend to be. ``KINDS`` has one maker for each."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

from . import parts
from .descriptors import Configuration, Interface, Model
from .device import GET_DESCRIPTOR, GET_STATUS, Device, Function, Setup
from .hid import (
    CONSUMER_REPORT,
    FIDO_REPORT,
    KEYBOARD_REPORT,
    MOUSE_REPORT,
    Hid,
    Keyboard,
    Mouse,
    SecurityKey,
)
from .protocol import Speed
from .storage import Medium, Memory, Storage

_STICK = 1024 * 1024
"""Bytes of a stick that is given no medium."""
_BOOT_KEYBOARD, _BOOT_MOUSE = (3, 1, 1), (3, 1, 2)


def _one(*interfaces: Interface) -> tuple[Configuration, ...]:
    return (Configuration(interfaces),)


def _keyboard_interface(number: int = 0, endpoint: int = 1, interval: int = 10) -> Interface:
    return parts.hid(number, KEYBOARD_REPORT, endpoint, 8, boot=_BOOT_KEYBOARD, interval=interval)


def keyboard(serial: str = "") -> Device:
    """A boot keyboard; ``device.find(Keyboard)`` types, at most 50 keys a second."""
    model = Model(
        0x046D,
        0xC31C,
        _one(_keyboard_interface()),
        manufacturer="Logitech",
        name="USB Keyboard",
        serial=serial,
        speed=Speed.LOW,
    )
    return Device(model, {(0, 3): Keyboard()})


def injector() -> Device:
    """A boot keyboard that is read every millisecond, and so types up to 500 keys a second."""
    model = Model(
        0x03EB, 0x2401, _one(_keyboard_interface(interval=1)), name="HID Keyboard", speed=Speed.FULL
    )
    return Device(model, {(0, 3): Keyboard()})


def mouse() -> Device:
    """A boot mouse."""
    interface = parts.hid(0, MOUSE_REPORT, 1, 4, boot=_BOOT_MOUSE)
    model = Model(0x046D, 0xC077, _one(interface), manufacturer="Logitech", name="USB Mouse", speed=Speed.LOW)
    return Device(model, {(0, 3): Mouse()})


def storage(medium: Medium | None = None, serial: str = "4C530001", *, read_only: bool = False) -> Device:
    """A stick; without a medium it is empty."""
    model = Model(
        0x0781,
        0x5581,
        _one(parts.storage(0)),
        manufacturer="SanDisk",
        name="Ultra",
        serial=serial,
    )
    return Device(model, {(0, 8): Storage(medium or Memory(bytes(_STICK)), read_only=read_only)})


def uas_storage(medium: Medium | None = None) -> Device:
    """A disk that offers UAS in its second setting. Only bulk-only transport works."""
    model = Model(
        0x174C,
        0x55AA,
        _one(parts.storage(0), parts.attached_scsi(0, 1)),
        manufacturer="Asmedia",
        name="ASM1153",
        serial="123456789012",
        usb=0x0210,
    )
    return Device(model, {(0, 8): Storage(medium or Memory(bytes(_STICK)), name="ASM1153")})


def camera() -> Device:
    """A camera with a microphone."""
    interfaces = (*parts.camera(0), *parts.audio_1(2, speaker=False, endpoint=2))
    model = Model(
        0x046D,
        0x0825,
        _one(*interfaces),
        triple=(0xEF, 2, 1),
        name="HD Webcam C270",
        serial="A1B2C3D4",
    )
    return Device(model)


def microphone() -> Device:
    """A microphone of USB audio 2.0."""
    model = Model(
        0x1235, 0x8211, _one(*parts.audio_2_microphone(0)), triple=(0xEF, 2, 1), name="Scarlett Solo USB"
    )
    return Device(model)


def headset() -> Device:
    """A headset of USB audio 1.0 with buttons."""
    buttons = parts.hid(3, CONSUMER_REPORT, 3, 1)
    model = Model(
        0x046D,
        0x0A44,
        _one(*parts.audio_1(0, speaker=True), buttons),
        manufacturer="Logitech",
        name="H390 headset",
        speed=Speed.FULL,
    )
    return Device(model, {(3, 3): Hid(CONSUMER_REPORT, 0x83, 1)})


def smart_card() -> Device:
    """A smart card reader."""
    model = Model(0x08E6, 0x3437, _one(parts.card_reader(0)), manufacturer="Gemalto", name="PC Twin Reader")
    return Device(model)


def security_key() -> Device:
    """A FIDO key: HID, and not a boot device."""
    interface = parts.hid(0, FIDO_REPORT, 1, 64, interval=5, both_ways=True)
    model = Model(
        0x1050, 0x0120, _one(interface), manufacturer="Yubico", name="Security Key", speed=Speed.FULL
    )
    return Device(model, {(0, 3): SecurityKey()})


def phone() -> Device:
    """An Android phone with file transfer and debugging switched on."""
    transfer = Interface(0, (6, 1, 1), (*parts.bulk_pair(1, 1), parts.interrupt_in(2, 28, 6)), text="MTP")
    debugging = Interface(1, (0xFF, 0x42, 1), parts.bulk_pair(3, 2), text="ADB Interface")
    model = Model(
        0x18D1,
        0x4EE2,
        _one(transfer, debugging),
        manufacturer="Google",
        name="Pixel 7",
        serial="28041FDH200ABC",
    )
    return Device(model)


def serial_port() -> Device:
    """A CDC-ACM board."""
    model = Model(
        0x2341,
        0x0043,
        _one(*parts.serial(0)),
        triple=(2, 0, 0),
        manufacturer="Arduino",
        name="Uno",
        serial="7563331313",
    )
    return Device(model)


def ethernet() -> Device:
    """A CDC-ECM network adapter; it claims a second configuration of its vendor's, as such adapters do."""
    vendors = Configuration((Interface(0, (0xFF, 0xFF, 0), parts.bulk_pair(1, 2)),))
    model = Model(
        0x0BDA,
        0x8153,
        (vendors, Configuration(parts.network(0, ncm=False))),
        manufacturer="Realtek",
        name="USB 10/100/1000 LAN",
        serial="000001",
    )
    return Device(model)


def tethering() -> Device:
    """A CDC-NCM network adapter, as phones that share their connection are."""
    model = Model(0x05AC, 0x12A8, _one(*parts.network(0, ncm=True)), manufacturer="Apple Inc.", name="iPhone")
    return Device(model)


def bluetooth() -> Device:
    """A Bluetooth adapter."""
    model = Model(
        0x0A12,
        0x0001,
        _one(*parts.bluetooth()),
        triple=(0xE0, 1, 1),
        name="CSR8510 A10",
        speed=Speed.FULL,
    )
    return Device(model)


def printer() -> Device:
    """A printer, bidirectional."""
    model = Model(
        0x03F0,
        0x112A,
        _one(Interface(0, (7, 1, 2), parts.bulk_pair(1, 2))),
        manufacturer="HP",
        name="LaserJet 1320",
        serial="CNFW1A2B3C",
    )
    return Device(model, {(0, 7): _Printer()})


class _Printer(Function):
    """Says what it is (IEEE 1284 identity) and swallows paper."""

    def control(self, setup: Setup, untrusted: bytes) -> bytes | None:
        """GET_DEVICE_ID and GET_PORT_STATUS: selected, no error."""
        if setup.request == 0:
            identity = b"MFG:HP;MDL:LaserJet 1320;CMD:PCL;CLS:PRINTER;"
            return struct.pack(">H", 2 + len(identity)) + identity
        return b"\x18" if setup.request == 1 else None


def hub() -> Device:
    """A hub with four empty ports."""
    model = Model(
        0x05E3,
        0x0608,
        _one(Interface(0, (9, 0, 0), (parts.interrupt_in(1, 1, 12),))),
        triple=(9, 0, 1),
        name="USB2.0 Hub",
    )
    return Device(model, {(0, 9): _Hub()})


class _Hub(Function):
    """A hub whose ports have power and nothing in them (USB 2.0, 11.24)."""

    def control(self, setup: Setup, untrusted: bytes) -> bytes | None:
        """The hub descriptor, status of hub and ports, features without effect."""
        if setup.request == GET_DESCRIPTOR:
            return bytes((9, 0x29, 4, 0xE0, 0, 50, 100, 0, 0xFF))
        if setup.request == GET_STATUS:
            return struct.pack("<HH", 0x0100 if setup.request_type & 0x1F == 3 else 0, 0)
        return b""


def typing_stick(medium: Medium | None = None) -> Device:
    """A stick that is a keyboard too, read every millisecond."""
    model = Model(
        0x0951,
        0x1666,
        _one(parts.storage(0), _keyboard_interface(1, 3, interval=4)),
        manufacturer="Kingston",
        name="DataTraveler 3.0",
        serial="60A44C413FAE",
    )
    functions = {(0, 8): Storage(medium or Memory(bytes(_STICK))), (1, 3): Keyboard(0x83)}
    return Device(model, functions)


def storage_in_second_configuration() -> Device:
    """A gamepad, unless the host chooses its other configuration."""
    gamepad = parts.hid(0, MOUSE_REPORT, 1, 4)
    model = Model(
        0x046D,
        0xC216,
        (Configuration((gamepad,)), Configuration((parts.storage(0),))),
        manufacturer="Logitech",
        name="Dual Action",
    )
    return Device(model, {(0, 3): Mouse(), (0, 8): Storage(Memory(bytes(_STICK)))})


def storage_in_alternate_setting() -> Device:
    """A headset's buttons, unless the host chooses their other setting."""
    buttons = parts.hid(0, CONSUMER_REPORT, 3, 1)
    model = Model(0x0D8C, 0x0014, _one(buttons, parts.storage(0, alternate=1)), name="Audio Adapter")
    return Device(model, {(0, 3): Hid(CONSUMER_REPORT, 0x83, 1), (0, 8): Storage(Memory(bytes(_STICK)))})


def changeling() -> Device:
    """Another device after the reset, or the re-plug, that follows its admission."""
    seen = headset()
    meant = typing_stick()
    same_name = replace(
        meant.model,
        vendor=seen.model.vendor,
        product=seen.model.product,
        manufacturer=seen.model.manufacturer,
        name=seen.model.name,
        serial="",
        speed=seen.model.speed,
    )
    return Device(seen.model, meant.functions, later=same_name)


def twins() -> tuple[Device, Device]:
    """Two sticks that nothing tells apart."""
    return storage(serial=""), storage(serial="")


def disguised_hub() -> Device:
    """Vendor-specific by its interface, a hub by its device class, which is what the hub driver goes by."""
    model = Model(
        0x1209, 0x0009, _one(Interface(0, (0xFF, 0, 0), (parts.interrupt_in(1, 1, 12),))), triple=(9, 0, 1)
    )
    return Device(model, {(0, 0xFF): _Hub()})


KINDS: dict[str, Callable[[], Device]] = {
    "keyboard": keyboard,
    "injector": injector,
    "mouse": mouse,
    "storage": storage,
    "uas-storage": uas_storage,
    "camera": camera,
    "microphone": microphone,
    "headset": headset,
    "smart-card": smart_card,
    "security-key": security_key,
    "phone": phone,
    "serial": serial_port,
    "ethernet": ethernet,
    "tethering": tethering,
    "bluetooth": bluetooth,
    "printer": printer,
    "hub": hub,
    "typing-stick": typing_stick,
    "storage-in-second-configuration": storage_in_second_configuration,
    "storage-in-alternate-setting": storage_in_alternate_setting,
    "changeling": changeling,
    "twin": lambda: twins()[0],
    "disguised-hub": disguised_hub,
}
"""By the names ``plug`` knows them under."""
