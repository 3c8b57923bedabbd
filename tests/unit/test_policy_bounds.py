"""Hostile policies cost bounded memory: each is refused in a process that may not take more.

Time is not measured; an input that took for ever would end in the limit of seconds of processor time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from twinhull_policy.example import example_policy
from twinhull_policy.parse import MAX_BYTES, canonical

from tests.support.cli import PROGRAM, ROOT

MIB = 2**20
ROOM = 96 * MIB
"""Address space beyond what the interpreter has taken when it is ready to parse."""
PROCESSOR_SECONDS = 60

CHILD = """
import json, resource, sys
from twinhull_policy.errors import TwinhullError
from twinhull_policy.parse import canonical, parse_owner_rules, parse_policy
from twinhull_policy.questions import parse_inventory, parse_question
from twinhull_policy.example import example_policy

parse_policy(canonical(example_policy()))
for bad in (b"[", b'{"a":1e999}'):
    try:
        parse_policy(bad)
    except TwinhullError:
        pass
untrusted = open(sys.argv[1], "rb").read()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
told = []
for parse in (parse_policy, parse_owner_rules, parse_question, parse_inventory):
    try:
        parse(untrusted)
        told.append("accepted")
    except TwinhullError as error:
        told.append([type(error).__name__, str(error.fields.get("path", ""))])
print(json.dumps(told))
"""
EXAMPLE = canonical(example_policy())


def filled(piece: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """As much of ``piece`` as a policy may be long."""
    count = (MAX_BYTES - len(before) - len(after)) // len(piece)
    return before + piece * count + after


def rules(count: int) -> bytes:
    """The example with so many device rules, the last of which is bent."""
    document = json.loads(EXAMPLE)
    document["devices"] = [
        {"name": f"r{n}", "match": {"vendor": f"{n:04x}"}, "verdict": "deny"} for n in range(count)
    ]
    document["devices"][-1]["match"]["vendor"] = "XXXX"
    return json.dumps(document, separators=(",", ":")).encode()


DESCRIPTION = EXAMPLE.index(b'"description":"') + len(b'"description":"')
HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "lists in lists": (b"[" * MAX_BYTES, "PolicyTooDeep", "$" + "[0]" * 65),
    "objects in objects": (filled(b'{"a":'), "PolicyTooDeep", "$" + ".a" * 65),
    "200,000 deep in a field": (
        EXAMPLE.replace(b'"report":', b'"report":' + b"[" * 200_000),
        "PolicyTooDeep",
        "$.report" + "[0]" * 64,
    ),
    "many empty lists": (filled(b"[],", b'{"devices":[', b"[]]}"), "PolicyInvalid", "$.devices[0]"),
    "many empty objects": (filled(b"{},", b"[", b"{}]"), "PolicyInvalid", "$"),
    "many keys": (
        b"{" + b",".join(b'"%x":1' % n for n in range(90_000)) + b"}",
        "PolicyInvalid",
        "$",
    ),
    "many numbers": (filled(b"1,", b'{"devices":[', b"1]}"), "PolicyInvalid", "$.devices[0]"),
    "one number": (
        filled(b"9", b'{"lease":{"offline_hours":', b"}}"),
        "PolicyBadNumber",
        "$.lease.offline_hours",
    ),
    "1e999": (EXAMPLE.replace(b'"mtu":1420', b'"mtu":1e999'), "PolicyBadNumber", "$.vpn.mtu"),
    "a string that never ends": (filled(b'\\"', b'{"a":"'), "PolicyNotJson", ""),
    "quotes": (filled(b'"'), "PolicyNotJson", ""),
    "escapes": (
        filled(b"\\u0041", EXAMPLE[:DESCRIPTION], EXAMPLE[DESCRIPTION:]),
        "PolicyInvalid",
        "$.description",
    ),
    "the same key": (filled(b'"a":1,', b"{", b'"a":1}'), "PolicyDuplicateKey", "$.a"),
    "every character a bad one": (
        filled("\u202e".encode(), EXAMPLE[:DESCRIPTION], EXAMPLE[DESCRIPTION:]),
        "PolicyBadCharacter",
        "$.description",
    ),
    "NUL": (bytes(MAX_BYTES), "PolicyNotJson", ""),
    "a lone surrogate": (
        EXAMPLE[:DESCRIPTION] + b"\\ud800" + EXAMPLE[DESCRIPTION:],
        "PolicyBadCharacter",
        "$.description",
    ),
    "rules, the last one bent": (rules(15_000), "PolicyInvalid", "$.devices[14999].match.vendor"),
    "a byte too long": (b" " * (MAX_BYTES + 1), "PolicyTooLarge", ""),
}


def bounded() -> None:
    """In the child: a processor's time that nothing here needs."""
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))


def run(tmp_path: Path, untrusted: bytes, room: int) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "untrusted"
    file.write_bytes(untrusted)
    return subprocess.run(
        [sys.executable, "-c", CHILD, file, str(room)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "policy")},
        capture_output=True,
        text=True,
        preexec_fn=bounded,
        check=False,
    )


@pytest.mark.parametrize("case", HOSTILE)
def test_refused_within_the_memory_there_is(tmp_path: Path, case: str) -> None:
    untrusted, kind, path = HOSTILE[case]
    assert len(untrusted) <= MAX_BYTES + 1
    done = run(tmp_path, untrusted, ROOM)
    assert done.returncode == 0, done.stderr[-2000:]
    policy, *others = json.loads(done.stdout)
    assert policy == [kind, path]
    assert "accepted" not in others


def test_the_limit_is_one(tmp_path: Path) -> None:
    """With a tenth of the room the costliest does not get through, so the room is what is tested."""
    assert run(tmp_path, HOSTILE["many empty lists"][0], ROOM // 10).returncode != 0


def test_a_file_of_100_mb_is_refused_unread_by_the_command(tmp_path: Path) -> None:
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        file.truncate(100_000_000)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "client"), str(ROOT / "policy")))}
    peak = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    program = PROGRAM.replace("sys.exit(main())", f"status = main(); {peak}; sys.exit(status)")

    def check(path: Path) -> tuple[int, str, int]:
        done = subprocess.run(
            [sys.executable, "-c", program, "policy", "check", path],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr, int(done.stdout.splitlines()[-1])

    small = tmp_path / "small.json"
    small.write_bytes(EXAMPLE)
    status, told, most = check(big)
    assert status == 2
    assert "larger than the 1048576 bytes" in told and "TH-POL-002" in told
    # KiB: not much more than what the same command takes for a small file.
    assert most < check(small)[2] + 32 * 1024
