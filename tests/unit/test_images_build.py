"""The pure parts of the image builder: names of results, manifests, boot program, accounts, progress."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from twinhull_hypervisor.network.plan import SIDES, Side
from twinhull_images import cache
from twinhull_images.boot import module_order, unpacked_kernel
from twinhull_images.cache import Image, Manifest, cache_key
from twinhull_images.progress import Event, Progress, lines
from twinhull_images.recipe import RECIPES, TAILORINGS, Kind
from twinhull_images.run import CommandFailed, run
from twinhull_images.sources import Source
from twinhull_images.tree import MASKED_UNITS, account_lines, configure
from twinhull_images.units import idle
from twinhull_policy.names import Partition

RECIPE = RECIPES[Kind.SMALL]
CODE = [("a.py", 0o100644, b"one"), ("b.py", 0o100644, b"two")]
SOURCES = [(Source("http://archive.example/debian", "bookworm", ("main",)), "11")]


def test_key_does_not_depend_on_order() -> None:
    assert cache_key(RECIPE, CODE, SOURCES) == cache_key(RECIPE, list(reversed(CODE)), SOURCES)


def test_every_input_changes_the_key() -> None:
    variants = [
        cache_key(RECIPE, CODE, SOURCES),
        cache_key(replace(RECIPE, packages=(*RECIPE.packages, "nano")), CODE, SOURCES),
        cache_key(replace(RECIPE, virtual_mib=RECIPE.virtual_mib + 1), CODE, SOURCES),
        cache_key(RECIPES[Kind.DESKTOP], CODE, SOURCES),
        cache_key(RECIPE, [CODE[0], ("b.py", 0o100644, b"other")], SOURCES),
        cache_key(RECIPE, [CODE[0], ("b.py", 0o100755, b"two")], SOURCES),
        cache_key(RECIPE, [CODE[0], ("c.py", 0o100644, b"two")], SOURCES),
        cache_key(RECIPE, CODE[:1], SOURCES),
        cache_key(RECIPE, CODE, [(SOURCES[0][0], "22")]),
        cache_key(RECIPE, CODE, [(replace(SOURCES[0][0], uri="http://mirror.example/debian"), "11")]),
        cache_key(RECIPE, CODE, []),
    ]
    assert len(set(variants)) == len(variants)


def a_manifest(length: int) -> Manifest:
    image = Image("corporate-small", "corporate", "small", "c.qcow2", "0" * 64, length, 1 << 33, "work")
    return Manifest("k", "small", "probe-kernel", (image,))


def test_a_stored_manifest_comes_back(tmp_path: Path) -> None:
    (tmp_path / "c.qcow2").write_bytes(b"12345")
    (tmp_path / "probe-kernel").write_bytes(b"k")
    cache.store(tmp_path, a_manifest(5))
    assert cache.load(tmp_path) == a_manifest(5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.qcow2", "manifest.json", "probe-kernel"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: (directory / "manifest.json").unlink(),
        lambda directory: (directory / "manifest.json").write_text("{"),
        lambda directory: (directory / "manifest.json").write_text("[]"),
        lambda directory: (directory / "manifest.json").write_text(json.dumps({"images": [{"x": 1}]})),
        lambda directory: (directory / "c.qcow2").unlink(),
        lambda directory: (directory / "c.qcow2").write_bytes(b"1234"),
        lambda directory: (directory / "probe-kernel").unlink(),
    ],
    ids=["absent", "truncated", "list", "other-fields", "no-image", "short-image", "no-kernel"],
)
def test_a_damaged_result_does_not_count(tmp_path: Path, damage: object) -> None:
    (tmp_path / "c.qcow2").write_bytes(b"12345")
    (tmp_path / "probe-kernel").write_bytes(b"k")
    cache.store(tmp_path, a_manifest(5))
    assert callable(damage)
    damage(tmp_path)
    assert cache.load(tmp_path) is None


def test_modules_are_loaded_after_what_they_need() -> None:
    dependencies = (
        "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/jbd2/jbd2.ko\n"
        "kernel/fs/jbd2/jbd2.ko:\nkernel/lib/crc16.ko:\n"
        "kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio-ring.ko\n"
        "kernel/drivers/virtio/virtio-ring.ko:\n"
    )
    order = module_order(dependencies, ("virtio_blk", "ext4", "built_in"))
    assert order == [
        "kernel/drivers/virtio/virtio-ring.ko",
        "kernel/drivers/block/virtio_blk.ko",
        "kernel/fs/jbd2/jbd2.ko",
        "kernel/lib/crc16.ko",
        "kernel/fs/ext4/ext4.ko",
    ]


@pytest.mark.parametrize(
    ("compressed", "comes_out"), [(lzma.compress(b"\x7fELF"), b"\x7fELF"), (gzip.compress(b"\x7fELF"), None)]
)
def test_a_kernel_is_unpacked_or_stays_what_it_is(compressed: bytes, comes_out: bytes | None) -> None:
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4
    struct.pack_into("<II", setup, 0x248, 16, len(compressed) + 4)
    image = bytes(setup) + bytes(16) + compressed + struct.pack("<I", 4) + b"rest"
    assert unpacked_kernel(image) == (image if comes_out is None else comes_out)


@pytest.mark.parametrize("tailoring", TAILORINGS, ids=lambda tailoring: tailoring.partition)
def test_the_person_is_not_root_and_has_no_password(tailoring: object) -> None:
    (chosen,) = (known for known in TAILORINGS if known == tailoring)
    accounts = account_lines(chosen)
    assert accounts["passwd"].split(":")[2] == "1000"
    assert accounts["shadow"].split(":")[1] == "!"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("side", SIDES.values(), ids=lambda side: side.partition.value)
def test_network_is_the_one_that_netd_builds(side: Side, kind: Kind) -> None:
    (unit,) = (
        path for layer in RECIPES[kind].layers(side.partition.value) for path in layer.rglob("*.network")
    )
    settings: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(name, []).append(value)
    assert settings.pop("MTUBytes", None) == (["1420"] if side.partition is Partition.CORPORATE else None)
    assert settings == {
        "Driver": ["virtio_net"],
        "RequiredForOnline": ["no"],
        "Address": [
            f"{side.guest}/{side.gateway.network.prefixlen}",
            f"{side.guest6}/{side.gateway6.network.prefixlen}",
        ],
        "Gateway": [str(side.gateway.ip), str(side.gateway6.ip)],
        "DHCP": ["no"],
        "LinkLocalAddressing": ["no"],
        "IPv6AcceptRA": ["no"],
        "LLMNR": ["no"],
        "MulticastDNS": ["no"],
    }
    assert (unit.parents[2] / "resolv.conf").read_text() == f"nameserver {side.gateway.ip}\n"


@pytest.mark.parametrize("kind", Kind)
def test_what_a_guest_needs_is_not_switched_off(kind: Kind) -> None:
    needed = {
        "dbus.service",
        "getty@tty1.service",
        "qemu-guest-agent.service",
        "systemd-journald.service",
        "systemd-logind.service",
        "systemd-networkd.service",
        "systemd-random-seed.service",
        "systemd-sysctl.service",
        "systemd-tmpfiles-setup.service",
        "systemd-udev-trigger.service",
        "systemd-udevd.service",
        "systemd-user-sessions.service",
    }
    if kind is Kind.DESKTOP:
        needed |= {"kmod-static-nodes.service", "systemd-modules-load.service", "user@.service"}
    assert not needed & ({*idle(kind).units} | {*MASKED_UNITS})
    assert "systemd-fstab-generator" not in idle(Kind.DESKTOP).generators


def test_switched_off_is_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    configure(RECIPE, tmp_path)
    for unit in ("user@.service", "sys-kernel-debug.mount"):
        assert (tmp_path / "etc/systemd/system" / unit).readlink() == Path("/dev/null")
    generator = tmp_path / "etc/systemd/system-generators/systemd-gpt-auto-generator"
    assert generator.readlink() == Path("/dev/null")


def test_progress_counts_steps_and_shows_minutes() -> None:
    events: list[Event] = []
    progress = Progress(2, events.append)
    for title in ("one", "two"):
        with progress.step(title):
            pass
    assert [(event.number, event.title, event.done) for event in events] == [
        (1, "one", False),
        (1, "one", True),
        (2, "two", False),
        (2, "two", True),
    ]
    out = io.StringIO()
    lines(out)(Event(3, 9, "Install packages", 102.9, done=True))
    assert out.getvalue() == "[3/9] Install packages ... 1:42\n"


def test_a_failed_program_gives_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["cat", "/nonexistent"], tmp_path / "log", lambda: None)
    assert "No such file" in caught.value.tail
    assert "$ cat /nonexistent" in (tmp_path / "log").read_text()


def test_a_program_past_its_time_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sleep", "600"], tmp_path / "log", lambda: None, timeout=0.5)
    assert caught.value.status < 0


def test_recipes_have_no_server_that_answers_from_outside() -> None:
    for recipe in RECIPES.values():
        assert not {"openssh-server", "ssh"} & set(recipe.packages)
        assert {"qemu-guest-agent", "curl"} <= set(recipe.packages)
