"""The words people read about devices: what each is, where it is, why, and which rule says so.

A device names itself, so its name is made printable, shortened, and kept from turning the text around it;
what kind of thing it is was told from its interfaces and not by its name.
"""

from __future__ import annotations

from twinhull_policy.api.types import DeviceInfo, KillSwitch
from twinhull_policy.errors import printable
from twinhull_policy.kinds import Kind

from twinhull_client.gui.words import FULL_STOP, Tone, as_sentence, tr

NAME_LIMIT = 90
"""Characters of a device's name that are ever shown; the daemon sends fewer."""
ICONS: dict[Kind, str] = {
    Kind.KEYBOARD: "keyboard",
    Kind.POINTER: "pointer",
    Kind.STORAGE: "storage",
    Kind.CAMERA: "camera",
    Kind.AUDIO: "microphone",
    Kind.SMART_CARD: "key",
    Kind.SECURITY_KEY: "key",
    Kind.PHONE: "phone",
    Kind.PRINTER: "printer",
    Kind.DISPLAY: "chip",
    Kind.PLATFORM: "chip",
}
"""Pictures of kinds; the rest have that of a plug."""


def kind_words(kind: Kind) -> str:
    """What people call a kind of device."""
    return {
        Kind.KEYBOARD: tr("keyboard"),
        Kind.POINTER: tr("mouse"),
        Kind.HUB: tr("hub"),
        Kind.STORAGE: tr("storage"),
        Kind.CAMERA: tr("webcam"),
        Kind.AUDIO: tr("sound device"),
        Kind.SMART_CARD: tr("card reader"),
        Kind.SECURITY_KEY: tr("security key"),
        Kind.PHONE: tr("phone"),
        Kind.SERIAL: tr("serial adapter"),
        Kind.NETWORK: tr("network adapter"),
        Kind.BLUETOOTH: tr("Bluetooth adapter"),
        Kind.PRINTER: tr("printer"),
        Kind.INPUT: tr("controller"),
        Kind.COMPOSITE: tr("combined device"),
        Kind.DISPLAY: tr("display adapter"),
        Kind.PLATFORM: tr("part"),
        Kind.OTHER: tr("device"),
    }[kind]


def name_parts(device: DeviceInfo) -> tuple[str, str]:
    """A device's own name with its kind, and where it is plugged in: "Logitech C920 webcam", "left port"."""
    kind = kind_words(device.kind)
    name = printable(device.name, 2 * NAME_LIMIT)
    own, kind_found, place = name.rpartition(f" ({device.kind.value}), ")
    if not kind_found:  # such as "PCI audio 8086:51c8, slot 0000:00:1f.3"
        own, _, place = name.partition(", ")
        return printable(own, NAME_LIMIT), printable(place, NAME_LIMIT)
    own = printable(own.strip() or tr("Unnamed"), NAME_LIMIT - len(kind))
    if kind.casefold() not in own.casefold():
        own = tr("{name} {kind}").format(name=own, kind=kind)
    return own, printable(place, NAME_LIMIT)


def device_name(device: DeviceInfo) -> str:
    """A device as one piece of text: "Logitech C920 webcam, left port"."""
    return ", ".join(isolated(part) for part in name_parts(device) if part)


def isolated(text: str) -> str:
    """Text whose writing direction stays its own (Unicode UAX #9, FSI and PDI)."""
    return text if text.isascii() else f"\u2068{text}\u2069"


def place_words(device: DeviceInfo) -> tuple[str, Tone]:
    """The state of a device as a badge and its tone."""
    if device.state == "attached" and device.read_only:
        return tr("In use, read only"), "good"
    return {
        "host": (tr("In use"), "good"),
        "attached": (tr("In use"), "good"),
        "asking": (tr("Asks you"), "warn"),
        "admission": (tr("Needs its code"), "warn"),
        "waiting": (tr("Waiting"), "warn"),
        "blocked": (tr("Kept out"), "idle"),
        "suspended": (tr("Switched off"), "bad"),
    }[device.state]  # type: ignore[return-value]


def why_words(device: DeviceInfo) -> str:
    """Why a device is where it is, and by which rule."""
    reason = as_sentence(_to_the_person(printable(device.reason)))
    match device.state:
        case "asking":
            return ask_words(device)
        case "admission" if not device.code:
            return tr("A new keyboard. It gets its code once those before it are done.")
        case "admission":
            return tr("A new keyboard is let in once its code, shown above, was typed on it.")
        case "suspended":
            return tr("It typed faster than a person can, so nothing it types is taken any more.")
    rules = rule_words(device.rule)
    return (
        tr("{reason} ({rules}).").format(reason=reason.rstrip(f".{FULL_STOP}"), rules=rules)
        if rules
        else reason
    )


def _to_the_person(reason: str) -> str:
    """The daemon's sentence, which speaks of the owner to anybody, as said to the owner.

    Pieces of it are in its language, English, whatever that of the app is.
    """
    if reason == "The person at the laptop decides.":
        return tr("You sent it there.")
    for said, meant in (
        ("The owner's rules", "Your rules"),
        ("The owner chose", "You chose"),
        ("The owner said no", "You said no to it"),
        ("The owner wants", "You want"),
        ("the host", "this laptop"),
        (" partition", " computer"),
    ):
        reason = reason.replace(said, meant)
    return reason


def ask_words(device: DeviceInfo) -> str:
    """Why a device asks: which rule offers which place."""
    if device.reason == "The screen is locked.":
        return tr("It can be answered once the screen is unlocked.")
    offers = []
    for rule in printable(device.rule).split():
        layer, _, name = rule.partition(":")
        if layer == "corporate":
            offers.append(tr("your company's rule “{name}” offers the corporate computer").format(name=name))
        elif layer == "owner":
            offers.append(tr("your rule “{name}” offers the personal computer").format(name=name))
    if not offers:
        return as_sentence(_to_the_person(printable(device.reason)))
    sentence = tr("{offers}, and the choice is yours.").format(offers=tr("; ").join(offers))
    return sentence[:1].upper() + sentence[1:]


def rule_words(rule: str) -> str:
    """Which rule decided, in words; empty where the reason says it already."""
    named = []
    for part in printable(rule).split():
        layer, _, name = part.partition(":")
        named.append(
            {
                "host": tr("built-in rule “{name}”"),
                "corporate": tr("your company's rule “{name}”"),
                "owner": tr("your rule “{name}”"),
            }.get(layer, "").format(name=name)
        )
    return tr(", ").join(words for words in named if words)


def target_words(target: str) -> str:
    """A button that sends a device somewhere."""
    return {"corporate": tr("To corporate"), "personal": tr("To personal")}[target]


def switch_words(kind: KillSwitch, *, off: bool) -> tuple[str, str]:
    """A kill switch's state, and what pressing it does."""
    return {
        ("camera", False): (
            tr("Camera allowed"),
            tr("Switch every camera off for both computers. It stays off until you switch it on again."),
        ),
        ("camera", True): (tr("Camera off"), tr("Let rules and answers decide about cameras again.")),
        ("microphone", False): (
            tr("Microphone allowed"),
            tr("Switch every microphone off for both computers. It stays off until you switch it on again."),
        ),
        ("microphone", True): (
            tr("Microphone off"),
            tr("Let rules and answers decide about microphones again."),
        ),
    }[kind, off]
