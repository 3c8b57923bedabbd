"""A laptop from its package and an answer file, no question asked; upgraded, gone back, removed and purged.

The company's server is in the same container, from its own package, as is a gateway of the demonstration.
In this order, in one container: each test goes on from where the one before it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from twinhull_installer import corporate
from twinhull_installer.debian.tree import CLIENT

from tests.lab.payload import golden_images
from tests.support.laptop import wait_for

from .container import SOURCE, Container
from .packages import BROKEN, NEW, OLD, Packages, Workshop, apt, dpkg, exists, failed, version
from .test_laptop import guests, main_pid, status

URL = "https://localhost:8443"
OWNER = "alex"
ANSWERS = "/root/answers.json"
SETUP_SECONDS = 1500.0
GUEST_SECONDS = 600.0
"""Longest boot of a guest under emulation on a loaded machine."""
RESTARTED = ("twinhull-netd", "twinhull-devd", "twinhull-fetch", "twinhulld")
SETTINGS = ("/etc/twinhull/host.json", "/etc/polkit-1/rules.d/50-twinhull-owner.rules")


def write(container: Container, path: str, text: str) -> None:
    container.run("install", "-m", "600", "/dev/stdin", path, input=text)


def company_network(container: Container, *words: str) -> str:
    return container.output("python3", "-P", "-B", f"{SOURCE}/installer/corporate_side", *words)


def token(container: Container) -> str:
    return container.output("twinhull-server", "token", "new").strip()


def answers(container: Container, **changed: Any) -> dict[str, Any]:
    """Answers that work, with changes; an absent value takes the key out."""
    host = {
        "owner": OWNER,
        "allow_unconfined": True,
        "underlay_namespace": "th-underlay",
        "personal": {"vcpus": 1, "memory_mib": 512, "disk_gib": 8},
    }
    whole = {
        "url": URL,
        "token": token(container),
        "passphrase_corporate": "correct horse battery",
        "passphrase_personal": "another one of its owner",
        "start": True,
        "laptop": {"host": host, "volumes": {"corporate": {"gib": 2}, "personal": {"gib": 2}}},
    }
    return {**whole, **changed}


def setup(container: Container, given: dict[str, Any]) -> tuple[int, str, str]:
    """Run the package's setup with these answers; its status, output and errors."""
    write(container, ANSWERS, json.dumps(given))
    done = container.run("/opt/twinhull/setup", ANSWERS, check=False, seconds=SETUP_SECONDS)
    return done.returncode, done.stdout, done.stderr


def as_user(container: Container, user: str, *words: str) -> tuple[int, str]:
    done = container.run("runuser", "-u", user, "--", *words, check=False)
    return done.returncode, done.stdout + done.stderr


def guest_answers(container: Container, partition: str) -> bool:
    asked = ("qemu-agent-command", f"twinhull-{partition}", '{"execute": "guest-ping"}', "--timeout", "5")
    return container.run("virsh", "-c", "qemu:///system", *asked, check=False).returncode == 0


@pytest.fixture(scope="module")
def company(started: Container, server: Packages) -> Iterator[Container]:
    """The company's side: the server from its package, a gateway, images and a policy."""
    apt(started, "install", server.old)
    started.run("runuser", "-u", "twinhull-server", "--", "twinhull-server", "init")
    started.run("systemctl", "start", "twinhull-server.service")
    company_network(started, "up")
    yield started
    company_network(started, "down")
    apt(started, "purge", "twinhull-server")
    started.run("rm", "-rf", "/var/lib/twinhull-server")


@pytest.fixture(scope="module")
def bare(company: Container, packages: Packages) -> Iterator[Container]:
    """The laptop's package beside it, just installed, and an account of the person's."""
    company.run("useradd", "--create-home", OWNER)
    company.run("useradd", "--create-home", "sam")
    apt(company, "install", packages.old)
    yield company
    for user in (OWNER, "sam"):
        company.run("userdel", "--remove", user)


@pytest.fixture(scope="module")
def published(bare: Container) -> Container:
    """With images and a policy on the server."""
    directory = golden_images()
    for image in json.loads((directory / "manifest.json").read_text())["images"]:
        options = ["--name", image["name"], "--partition", image["partition"]]
        bare.run("twinhull-server", "image", "add", str(directory / image["file"]), *options)
    network = json.loads(company_network(bare, "status"))
    example = json.loads(bare.output("twinhull", "policy", "example"))
    policy = corporate.adjust(example, "small", network["gateway"], network["public_key"])
    write(bare, "/root/policy.json", json.dumps(policy))
    bare.run("twinhull-server", "policy", "publish", "/root/policy.json")
    return bare


def laptop_of(given: dict[str, Any], **host: Any) -> dict[str, Any]:
    laptop = given["laptop"]
    return {**given, "laptop": {**laptop, "host": {**laptop["host"], **host}}}


def test_answers_that_cannot_work_are_refused_and_nothing_is_changed(bare: Container) -> None:
    good = answers(bare)
    without = {key: value for key, value in good.items() if key != "laptop"}
    huge = {"personal": {"gib": 16384}}
    one_more = good["token"][:-1] + ("0" if good["token"][-1] != "0" else "1")
    cannot = {
        "TH-CLI-013": {key: value for key, value in good.items() if key != "token"},
        "TH-INS-024": without,
        "TH-INS-025": laptop_of(good, owner="nobody-of-that-name"),
        "TH-INS-026": laptop_of(good, allow_unconfined=False),
        "TH-INS-027": laptop_of(good, personal={"memory_mib": 1024 * 1024}),
        "TH-DMN-001": laptop_of(good, uplink_mbit=-1),
        "TH-INS-028": {**good, "laptop": {**good["laptop"], "volumes": huge}},
        "TH-INS-020": {**good, "laptop": {**good["laptop"], "at_boot": True}},
        "TH-INS-029": {**good, "url": "https://localhost:8442"},
        "TH-INS-030": {**good, "token": one_more},
    }
    for code, given in cannot.items():
        ended, said, errors = setup(bare, given)
        assert ended in (1, 2) and code in errors, (code, errors)
        assert said == "" and len(errors.splitlines()) in (2, 3), errors
        assert "correct horse" not in errors and good["token"][4:40] not in errors
    bare.run("chmod", "644", ANSWERS)
    refused = bare.run("/opt/twinhull/setup", ANSWERS, check=False)
    assert refused.returncode == 2 and "TH-CLI-012" in refused.stderr
    for path in SETTINGS:
        assert not exists(bare, path)
    assert bare.run("systemctl", "is-active", "twinhulld.service", check=False).stdout == "inactive\n"


def test_a_token_that_the_server_refuses_ends_it_before_anything_is_fetched(published: Container) -> None:
    given = answers(published)
    number = json.loads(published.output("twinhull-server", "token", "list", "--json"))[-1]["number"]
    published.run("twinhull-server", "token", "revoke", str(number))
    ended, _, errors = setup(published, given)
    assert ended != 0 and "TH-SRV-024" in errors, errors
    assert not status(published)["enrolment"]["enrolled"]
    assert not exists(published, "/var/lib/twinhull/volumes/personal/keys.json")


def test_an_answer_file_makes_the_laptop(published: Container) -> None:
    ended, said, errors = setup(published, answers(published))
    assert ended == 0, said + errors
    now = status(published)
    assert now["enrolment"]["enrolled"] and now["policy"]["sequence"] > 0
    assert {part["name"]: part["state"] for part in now["partitions"]} == {
        "corporate": "running",
        "personal": "running",
    }
    log = published.file("/var/log/twinhull-setup.log")
    assert "correct horse" not in log and "th1." not in log
    assert failed(published) == ""
    for line in published.output("twinhull-server", "device", "wireguard-peers").split("[Peer]")[1:]:
        values = dict(word.split(" = ", 1) for word in line.splitlines() if " = " in word)
        company_network(published, "peer", values["PublicKey"].strip(), values["AllowedIPs"].strip())
    wait_for(lambda: status(published)["vpn"]["state"] == "up", "the tunnel", 120)
    assert status(published)["vpn"]["confined"]


def test_it_is_done_already_when_it_is_asked_for_again(published: Container) -> None:
    before = guests(published), main_pid(published, "twinhulld")
    done = published.run("/opt/twinhull/setup", ANSWERS, seconds=SETUP_SECONDS)
    assert done.stdout.count("done already") == 2
    assert (guests(published), main_pid(published, "twinhulld")) == before


def test_the_owner_is_asked_for_no_password_and_nobody_else_may(published: Container) -> None:
    assert as_user(published, OWNER, "twinhull", "partition", "suspend", "personal")[0] == 0
    ended, said = as_user(published, "sam", "twinhull", "partition", "resume", "personal")
    assert ended == 4 and "TH-DMN-003" in said
    assert as_user(published, OWNER, "twinhull", "partition", "resume", "personal")[0] == 0


def test_an_upgrade_that_does_not_come_up_is_taken_back(
    published: Container, packages: Packages, client_workshop: Workshop
) -> None:
    """A core that explains itself and ends when it is to serve: dpkg has the old one back, and it runs."""

    def ends(program: str) -> str:
        return program.replace(
            "import sys\n", "import sys\n\nif '--help' not in sys.argv:\n    sys.exit(7)\n", 1
        )

    core = CLIENT.environment / "bin/twinhulld"
    broken = client_workshop.pack_changed(BROKEN, core, ends)
    before, sequence = guests(published), status(published)["policy"]["sequence"]
    ended, said = apt(published, "install", broken, check=False)
    assert ended != 0
    (sentence,) = [line for line in said.splitlines() if "the one from before runs on" in line]
    assert BROKEN.version in sentence and sentence.endswith(".")
    assert version(published) == f"installed {OLD.version}"
    assert dpkg(published, "--verify", "twinhull") == (0, "")
    assert "twinhull" not in dpkg(published, "--audit")[1]
    dpkg(published, "--configure", "--pending")  # the bus's own trigger, which apt left
    assert dpkg(published, "--audit") == (0, "")
    apt(published, "check")
    assert guests(published) == before
    for unit in RESTARTED:
        assert published.output("systemctl", "is-active", f"{unit}.service") == "active\n"
    assert status(published)["policy"]["sequence"] == sequence and failed(published) == ""
    for left in ("/var/lib/twinhull-upgrade", "/run/twinhull-upgraded"):
        assert not exists(published, left)


def test_an_upgrade_leaves_the_partitions_running(published: Container, packages: Packages) -> None:
    before, programs = guests(published), {unit: main_pid(published, unit) for unit in RESTARTED}
    assert set(before) == {"corporate", "personal"}
    apt(published, "install", packages.new)
    assert version(published) == f"installed {NEW.version}"
    assert guests(published) == before
    for unit in RESTARTED:
        assert main_pid(published, unit) not in ("0", programs[unit])
    now = status(published)
    assert {part["state"] for part in now["partitions"]} == {"running"}
    assert now["enrolment"]["enrolled"] and failed(published) == ""
    wait_for(lambda: status(published)["vpn"]["state"] == "up", "the tunnel", 120)
    ended, said = dpkg(published, "-i", packages.old, check=False)
    assert ended == 1 and "is newer than" in said
    assert version(published) == f"installed {NEW.version}"


def test_removing_shuts_both_down_and_purging_deletes_no_partition(
    published: Container, request: pytest.FixtureRequest
) -> None:
    """With ``--long`` the guests have booted and shut down by themselves; else their power is cut before."""
    long = request.config.getoption("--long")
    for partition in ("corporate", "personal"):
        if not long:
            published.run("twinhull", "partition", "stop", "--force", partition)
            continue
        wait_for(lambda partition=partition: guest_answers(published, partition), partition, GUEST_SECONDS)  # type: ignore[misc]
    apt(published, "remove", "twinhull")
    assert published.run("pgrep", "-f", "guest=twinhull-", check=False).stdout == ""
    assert not exists(published, SETTINGS[1])
    for path in ("/opt/twinhull/setup", "/opt/twinhull/share", "/opt/twinhull/venv"):
        assert not exists(published, path), path
    _, said = apt(published, "purge", "twinhull")
    for partition in ("corporate", "personal"):
        assert exists(published, f"/var/lib/twinhull/volumes/{partition}/keys.json")
    (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith("rm -r ")]
    published.run(*line.split()[:2], "--force", *line.split()[2:])
    assert (
        published.output("find", "/var/lib", "-maxdepth", "1", "-name", "twinhull*")
        == "/var/lib/twinhull-server\n"
    )
