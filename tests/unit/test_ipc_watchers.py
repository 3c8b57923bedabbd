"""What waits for a watcher of a helper is bounded, in order, and never silently less."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest
from twinhull_hypervisor.devices.results import Event
from twinhull_hypervisor.ipc import WAITING, Watchers, receive_packet


@pytest.fixture
def watchers() -> Watchers:
    return Watchers(lost=Event(event="lost"))


@pytest.fixture
def watching(watchers: Watchers) -> Iterator[socket.socket]:
    """A watcher's end, answered; its thread ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=watchers.watch, args=(theirs,))
    thread.start()
    ours.settimeout(10)
    assert receive_packet(ours)[0] == b'{"result":{},"error":null}'
    yield ours
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
    theirs.close()


def heard(connection: socket.socket, last: Event) -> list[Event]:
    events: list[Event] = []
    while not events or events[-1] != last:
        events.append(msgspec.json.decode(receive_packet(connection)[0], type=Event))
    return events


def test_a_plug_after_a_pull_is_the_last_word(watchers: Watchers, watching: socket.socket) -> None:
    end = Event(event="burst", port="9-9")
    for action in ("add", "remove", "add", "remove", "add"):
        watchers.tell(Event(event="usb", action=action, port="1-2"))
    watchers.tell(end)
    assert heard(watching, end)[-2] == Event(event="usb", action="add", port="1-2")


def test_too_many_are_told_as_lost_and_cost_no_more(watchers: Watchers, watching: socket.socket) -> None:
    end = Event(event="burst", port="9-9")
    # The watcher does not read: packets fill its socket, then its share here, then some are lost.
    for number in range(20_000):
        watchers.tell(Event(event="usb", action="add", port=f"1-{number}"))
        waiting = [len(events) for events in watchers._waiting.values()]
        assert max(waiting) <= WAITING
    watchers.tell(end)
    events = heard(watching, end)
    assert Event(event="lost") in events
    assert len(events) < 20_000
