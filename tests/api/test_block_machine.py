"""Storage that is read, in a real machine: libvirt plugs it in, QEMU reads it, and it goes unasked.

Needs root, a system libvirtd and no running Twinhull."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt_qemu  # type: ignore[import-untyped]
import pytest
from twinhull_hypervisor.block.client import ServeArguments, ask
from twinhull_hypervisor.block.service import Blockd
from twinhull_hypervisor.domain.builder import domain_xml
from twinhull_hypervisor.domain.connection import Hypervisor
from twinhull_hypervisor.domain.errors import HypervisorRefused
from twinhull_hypervisor.domain.hostdev import Holding, HostDevices
from twinhull_hypervisor.domain.machine import Machine, forget_secret, volume_secret
from twinhull_hypervisor.domain.spec import domain_name
from twinhull_hypervisor.ipc import listening_socket, serve
from twinhull_policy.names import Partition

from tests.support.hypervisor import (
    PASSPHRASE,
    UIDS,
    make_base,
    make_volume,
    passable_directory,
    small_machine,
)
from tests.support.stick_pipes import StickPipes

PERSONAL = Partition.PERSONAL
CONTENT = random.Random(2).randbytes(256 * 1024)  # noqa: S311 - any bytes
STICK = Holding(PERSONAL, "1-2.3", 1, 17, read_only=True)
SECONDS = 60.0


class Bench:
    """One machine, and blockd with an emulated stick."""

    def __init__(self, directory: Path) -> None:
        self.hypervisor = Hypervisor()
        self.machine = Machine(self.hypervisor, PERSONAL)
        self.devices = HostDevices(self.hypervisor)
        self.base = make_base(directory)
        self.volume = make_volume(directory, PERSONAL)
        self.stick = StickPipes(CONTENT)
        self.held = 0
        self.sockets = directory / "blocks"
        self.sockets.mkdir(mode=0o711)
        self._path = directory / "blockd.sock"
        blockd = Blockd(self.sockets, uid_of=UIDS.__getitem__, pipes=lambda *_: _Held(self))
        self._listener = listening_socket(self._path)
        arguments = (self._listener, blockd.handlers, frozenset({0}))
        self._thread = threading.Thread(target=serve, args=arguments, kwargs={"connections": 4})
        self._thread.start()

    def start(self) -> None:
        """The machine, paused: what is plugged in here has nothing to do with its guest."""
        self.volume.create(self.base, 1, PASSPHRASE)
        spec = small_machine(self.volume, self.base, PERSONAL)
        key = self.volume.secret_value()
        with volume_secret(self.hypervisor, self.volume.secret_uuid, str(self.volume.paths.overlay), key):
            self.machine.start_paused(domain_xml(spec))

    def serve(self, partition: Partition = PERSONAL) -> str:
        """Have the stick served; its socket."""
        arguments = ServeArguments(partition=partition, interface=0, endpoint_in=0x81, endpoint_out=2)
        with Path("/dev/null").open() as node:
            return ask(self._path, arguments, node.fileno(), SECONDS).socket

    def qmp(self, command: str, **arguments: Any) -> Any:
        """QEMU's own answer."""
        domain = self.hypervisor.connection().lookupByName(domain_name(PERSONAL))
        said = libvirt_qemu.qemuMonitorCommand(
            domain, json.dumps({"execute": command, "arguments": arguments}), 0
        )
        return json.loads(said)["return"]

    def monitor(self, line: str) -> None:
        """A line for QEMU's monitor for people; what it prints goes where QEMU's output goes."""
        said = self.qmp("human-monitor-command", **{"command-line": line})
        assert "help qemu-io" not in said, said

    def usb_disks(self) -> list[Any]:
        """What QEMU says of its USB disks."""
        return [block for block in self.qmp("query-block") if "ua-blocks" in block["qdev"]]

    def close(self) -> None:
        """Take it all down."""
        self.machine.destroy()
        forget_secret(self.hypervisor, self.volume.secret_uuid)
        self.hypervisor.close()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._listener.close()


class _Held:
    """The stick, claimed."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __enter__(self) -> StickPipes:
        self._bench.held += 1
        return self._bench.stick

    def __exit__(self, *_: object) -> None:
        self._bench.held -= 1


@pytest.fixture
def bench() -> Iterator[Bench]:
    with passable_directory() as directory:
        made = Bench(directory)
        try:
            made.start()
            yield made
        finally:
            made.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_qemu_reads_the_stick_and_can_do_no_more(bench: Bench, tmp_path: Path) -> None:
    bench.devices.attach(STICK, bench.serve())
    assert bench.devices.guests()[PERSONAL].holdings == (STICK,)
    (disk,) = bench.usb_disks()
    inserted = disk["inserted"]
    assert inserted["ro"] and inserted["drv"] == "raw" and inserted["image"]["virtual-size"] == len(CONTENT)
    assert disk["removable"], "as a stick is"

    before = bench.stick.stick.record.scsi[0x28]
    bench.monitor(f'qemu-io -d {disk["qdev"]} "read 0 64k"')
    assert bench.stick.stick.record.scsi[0x28] > before
    bench.monitor(f'qemu-io -d {disk["qdev"]} "write 0 512"')
    assert bench.stick.stick.record.scsi.keys() <= {0x00, 0x03, 0x12, 0x25, 0x28}

    bench.devices.detach(STICK)
    assert bench.devices.guests()[PERSONAL].holdings == ()
    assert bench.usb_disks() == []
    until(lambda: bench.held == 0 and not list(bench.sockets.iterdir()))
    bench.devices.detach(STICK)  # nothing to do is success


def test_one_for_the_other_partition_is_not_taken(bench: Bench) -> None:
    """QEMU of one partition cannot read what is served to the other's, whatever it is told."""
    with pytest.raises(HypervisorRefused):
        bench.devices.attach(STICK, bench.serve(Partition.CORPORATE))
    assert bench.usb_disks() == []
    assert bench.stick.stick.record.scsi[0x28] == 0


def test_what_is_served_no_more_is_seen_to_be_lost_and_can_be_taken(bench: Bench) -> None:
    bench.devices.attach(STICK, bench.serve())
    bench.stick.pulled = True
    (disk,) = bench.usb_disks()
    bench.monitor(f'qemu-io -d {disk["qdev"]} "read 128k 4k"')
    until(lambda: bench.held == 0)
    lost = replace(STICK, lost=True)
    until(lambda: bench.devices.guests()[PERSONAL].holdings == (lost,))
    bench.devices.detach(lost)
    assert bench.devices.guests()[PERSONAL].holdings == ()


def test_several_at_once_keep_their_names(bench: Bench) -> None:
    sticks = [replace(STICK, port=f"1-{n}", devnum=n) for n in range(2, 6)]
    for stick in sticks:
        bench.devices.attach(stick, bench.serve())
    bench.devices.detach(sticks[1])
    bench.devices.attach(sticks[1], bench.serve())
    assert bench.devices.guests()[PERSONAL].holdings == tuple(sticks)
    for stick in sticks:
        bench.devices.detach(stick)
    assert bench.devices.guests()[PERSONAL].holdings == ()
    until(lambda: bench.held == 0)
