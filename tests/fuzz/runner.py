"""Runs fuzzing in slices, from a corpus that is kept in the repository and grows when told to.

libFuzzer's options: https://llvm.org/docs/LibFuzzer.html; atheris hands them through.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CORPUS = HERE / "corpus"
FINDINGS = HERE / "findings"
"""Where an input goes that made a target fail; not part of the repository, a fixed one's place is CORPUS."""
_GRACE = 60
"""Seconds beyond its time after which a slice counts as stuck."""
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*([0-9]+)")
_WORDS = re.compile(rb'"[A-Za-z0-9_:./+-]{2,40}"')
_PROGRAM = """#!{python}
import sys
from tests.fuzz.one import main
main("{target}", sys.argv)
"""
"""A program for each target, because libFuzzer starts itself again by its own name to merge corpora."""


@dataclass(frozen=True)
class Slice:
    """How one target fared."""

    target: str
    executed: int
    failed: bool
    output: str


def fuzz(
    target: str,
    seconds: int,
    findings: Path = FINDINGS,
    keep: bool = False,
    policy: Path = REPOSITORY / "policy",
) -> Slice:
    """Fuzz one target from its kept corpus.

    Args:
        target: its name.
        seconds: how long.
        findings: where an input is put that makes it fail.
        keep: add what reached new code to the corpus.
        policy: where ``twinhull_policy`` is; another place for one with a fault in it.
    """
    findings.mkdir(parents=True, exist_ok=True)
    kept = CORPUS / target
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        new, seeds, dictionary, program = (place / name for name in ("new", "seeds", "words", "program"))
        new.mkdir()
        seeds.mkdir()
        begun = TARGETS[target].seeds()
        for number, content in enumerate(begun):
            (seeds / str(number)).write_bytes(content)
        words = sorted({b"\x09\x04", *(word for content in begun for word in _WORDS.findall(content))})
        dictionary.write_text("".join('"' + _escaped(word) + '"\n' for word in words), "ascii")
        program.write_text(_PROGRAM.format(python=sys.executable, target=target))
        program.chmod(0o755)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={TARGETS[target].most}",
            f"-dict={dictionary}",
            f"-artifact_prefix={findings}/",
            "-timeout=10",
            "-rss_limit_mb=1024",
            "-print_final_stats=1",
        ]
        corpora = [new, seeds, *([kept] if kept.is_dir() else [])]
        done = _run([program, *corpora, *options], seconds + _GRACE, policy)
        if keep:
            kept.mkdir(parents=True, exist_ok=True)
            _run([program, "-merge=1", kept, new, seeds], 10 * _GRACE, policy)
    executed = _EXECUTED.search(done.stderr)
    return Slice(target, int(executed[1]) if executed else 0, done.returncode != 0, done.stdout + done.stderr)


def _run(command: list[str | Path], seconds: int, policy: Path) -> subprocess.CompletedProcess[str]:
    paths = ":".join(map(str, (policy, *(REPOSITORY / part for part in ("", "hypervisor", "installer")))))
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env={"PYTHONPATH": paths, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main(arguments: list[str]) -> int:
    """The command; its exit status says whether every target held."""
    parser = argparse.ArgumentParser(prog="tests/fuzz/run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seconds", type=int, help="for all targets together")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; may be repeated")
    parser.add_argument("--keep", action="store_true", help="add what reached new code to the corpus")
    options = parser.parse_args(arguments)
    targets = options.target or list(TARGETS)
    failed = 0
    for target in targets:
        one = fuzz(target, max(1, options.seconds // len(targets)), keep=options.keep)
        failed += one.failed
        kept = len(list((CORPUS / target).glob("*")))
        state = "FAILED" if one.failed else "held"
        sys.stdout.write(f"{target:12} {state:7} {one.executed:9} inputs, {kept} in the corpus\n")
        if one.failed:
            sys.stdout.write(one.output[-4000:])
        sys.stdout.flush()
    return 1 if failed else 0
