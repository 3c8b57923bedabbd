"""What the slices of installer/systemd and the files of installer/config/host make of a kernel: runs in one.

systemd itself reads the slices and makes the control groups: a service manager of root's own need not be the
first process. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.source import ROOT

CGROUPS = Path("/sys/fs/cgroup")
CORPORATE, PERSONAL = "twinhull-corporate.slice", "twinhull_personal.slice"
PLACES = {CORPORATE: CGROUPS / "twinhull.slice" / CORPORATE, PERSONAL: CGROUPS / PERSONAL}
RUNTIME = Path("/run/user/0")
HOST_FILES = ROOT / "installer/config/host"
SECONDS = 60.0
MEASURED_USEC = 1_500_000
HOLDS_ANONYMOUS = (
    "import sys, time; held = b'x' * (int(sys.argv[1]) << 20); print(1, flush=True); time.sleep(999)"
)
READS = (
    "import sys, time\nfile = open(sys.argv[1], 'rb')\nwhile file.read(1 << 20): pass\n"
    "print(1, flush=True); time.sleep(999)"
)
"""And keeps the file open: a closed one of the machine that tests is forgotten at once."""
BURNS_MEMORY = (
    "import sys\nprint(1, flush=True); sys.stdin.readline(); held = []\n"
    "while True: held.append(b'x' * (1 << 20))"
)
"""Once it is told to: by then libvirt's hook has run."""
BURNS_CPU = "print(1, flush=True)\nwhile True: pass"


def wait(condition: Callable[[], bool], what: str) -> None:
    """Until it holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


class Manager:
    """systemd, with our slices."""

    def __init__(self) -> None:
        # As systemd mounts it where it is the first process (mount-setup.c).
        subprocess.run(["mount", "-o", "remount,memory_recursiveprot", CGROUPS], check=True)
        for directory in (
            RUNTIME,
            Path("/run/systemd/system"),
        ):  # the second says that systemd booted: sd_booted(3)
            directory.mkdir(parents=True)
        os.environ["XDG_RUNTIME_DIR"] = str(RUNTIME)
        units = Path("/etc/systemd/user")
        units.mkdir(parents=True, exist_ok=True)
        for path in (ROOT / "installer/systemd").glob("*.slice"):
            shutil.copy(path, units)
        subprocess.Popen(
            ["/lib/systemd/systemd", "--user", "--log-target=null"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait((RUNTIME / "systemd/private").exists, "systemd answers")

    def put(self, slice_: str, code: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Run Python in a slice, until it says that it has begun."""
        scope = ["systemd-run", "--user", "--scope", "--quiet", f"--slice={slice_}"]
        process = subprocess.Popen(
            [*scope, sys.executable, "-I", "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError(f"{slice_}: ended with {process.wait()}")
        return process

    def set(self, slice_: str, setting: str) -> None:
        """Give a slice another setting, as where ours were not there."""
        subprocess.run(["systemctl", "--user", "--runtime", "set-property", slice_, setting], check=True)


def end(*processes: subprocess.Popen[bytes]) -> None:
    """Kill them."""
    for process in processes:
        process.kill()
        process.wait()


def used(slice_: str) -> int:
    """Processor time of all in a slice, microseconds."""
    fields = (PLACES[slice_] / "cpu.stat").read_text().split()
    return int(fields[fields.index("usage_usec") + 1])


def shares(manager: Manager) -> float:
    """How much more of the processor the corporate partition gets where both burn all they can."""
    both = [manager.put(slice_, BURNS_CPU) for slice_ in PLACES]
    before = {slice_: used(slice_) for slice_ in PLACES}
    wait(lambda: sum(map(used, PLACES)) - sum(before.values()) > MEASURED_USEC, "processor time")
    gained = {slice_: used(slice_) - before[slice_] for slice_ in PLACES}
    end(*both)
    return gained[CORPORATE] / gained[PERSONAL]


def file_pages(slice_: str) -> int:
    """Bytes of files that a slice holds in memory."""
    fields = (PLACES[slice_] / "memory.stat").read_text().split()
    return int(fields[fields.index("file") + 1])


def kept(manager: Manager, held: str, burnt: str) -> float:
    """The part of what the corporate partition held that is left once the personal one has read far more."""
    Path("/proc/sys/vm/drop_caches").write_text("3")
    corporate = manager.put(CORPORATE, READS, held)
    before = file_pages(CORPORATE)
    end(manager.put(PERSONAL, READS, burnt))
    after = file_pages(CORPORATE)
    end(corporate)
    if before < Path(held).stat().st_size // 2:
        raise RuntimeError(f"{before} bytes held to begin with")
    return after / before


def hook(partition: str, process: int) -> None:
    """Have libvirt's hook told, as libvirt does, that a partition's QEMU has started."""
    place = Path("/run/libvirt/qemu")
    place.mkdir(parents=True, exist_ok=True)
    (place / f"twinhull-{partition}.pid").write_text(str(process))
    subprocess.run(
        [HOST_FILES / "libvirt-hook", f"twinhull-{partition}", "started", "begin", "-"], check=True
    )


def ended_first(manager: Manager, *, hooked: bool) -> str:
    """Whom the kernel ends where the personal partition burns memory, most of which the other holds."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    corporate = manager.put(CORPORATE, HOLDS_ANONYMOUS, str(total * 6 // 10))
    personal = manager.put(PERSONAL, BURNS_MEMORY)
    # With --scope the process becomes the program it runs.
    if hooked:
        hook("corporate", corporate.pid)
        hook("personal", personal.pid)
    assert personal.stdin is not None
    personal.stdin.close()
    wait(lambda: corporate.poll() is not None or personal.poll() is not None, "the kernel to end one")
    first = "corporate" if corporate.poll() == -signal.SIGKILL else "personal"
    end(corporate, personal)
    return first


def scheduler(disk: str) -> str:
    """The scheduler of a disk once udev has seen our rule."""
    rules = Path("/run/udev/rules.d")
    rules.mkdir(parents=True)
    shutil.copy(HOST_FILES / "60-twinhull-disks.rules", rules)
    daemon = subprocess.Popen(["/lib/systemd/systemd-udevd"], stderr=subprocess.DEVNULL)
    wait(Path("/run/udev/control").exists, "udev answers")
    subprocess.run(["udevadm", "trigger", "--action=change", "--settle", f"/sys/block/{disk}"], check=True)
    chosen = Path(f"/sys/block/{disk}/queue/scheduler").read_text()
    end(daemon)
    return chosen.partition("[")[2].partition("]")[0]


def main(held: str, burnt: str) -> None:
    """All of it, with our settings and without."""
    manager = Manager()
    found: dict[str, object] = {"scheduler": scheduler("ubda"), "of a loop": scheduler_of_loop()}
    found["kept"] = kept(manager, held, burnt)
    manager.set("twinhull.slice", "MemoryMin=0")
    found["kept unprotected"] = kept(manager, held, burnt)
    found["shares"] = shares(manager)
    manager.set(PERSONAL, "CPUWeight=100")
    found["shares unweighted"] = shares(manager)
    found["ended"] = ended_first(manager, hooked=True)
    found["ended without the hook"] = ended_first(manager, hooked=False)
    sys.stdout.write(json.dumps(found) + "\n")


def scheduler_of_loop() -> str:
    """The scheduler of a disk that is none of the computer's own."""
    return Path("/sys/block/loop0/queue/scheduler").read_text().partition("[")[2].partition("]")[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
