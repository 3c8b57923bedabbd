"""What a USB device could take in of the room it is in: for the camera and microphone switches.

Read from the descriptors, as a kind is no proof. A device that does not say so (a vendor's own protocol) is
not found; docs/devices.md says what that means.
"""

from __future__ import annotations

from typing import Literal

from .descriptors import MalformedDescriptors, parse_usb_descriptors

Sense = Literal["camera", "microphone"]

_INTERFACE, _ENDPOINT = 4, 5
_AUDIO, _VIDEO, _AUDIO_VIDEO = 0x01, 0x0E, 0x10


def senses(untrusted_descriptors: bytes) -> frozenset[Sense]:
    """Which of both switches concern a device. Malformed descriptors give both.

    ``camera``: any interface of class video (USB Video Class 1.5, A.1) or audio/video (10). ``microphone``:
    an audio interface with an isochronous endpoint towards the computer (Audio 1.0, 4.6.1; USB 2.0, 9.6.6) or
    class audio/video. A loudspeaker that sends feedback that way counts too: better silent than overheard.
    """
    try:
        parse_usb_descriptors(untrusted_descriptors)
    except MalformedDescriptors:
        return frozenset({"camera", "microphone"})
    found: set[Sense] = set()
    interface_class = 0
    place = 18
    while place < len(untrusted_descriptors):
        length, kind = untrusted_descriptors[place], untrusted_descriptors[place + 1]
        body = untrusted_descriptors[place : place + length]
        if kind == _INTERFACE:
            interface_class = body[5]
            if interface_class in (_VIDEO, _AUDIO_VIDEO):
                found.add("camera")
            if interface_class == _AUDIO_VIDEO:
                found.add("microphone")
        elif kind == _ENDPOINT and interface_class == _AUDIO:
            towards_computer, isochronous = body[2] & 0x80, body[3] & 0x03 == 1
            if towards_computer and isochronous:
                found.add("microphone")
        place += length
    return frozenset(found)
