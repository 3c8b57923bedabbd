"""A Linux kernel that runs as a process (User-mode Linux), built from Debian's source of the kernel it ships.

It has what a laptop's kernel has and a test machine's may not: WireGuard, the device mapper, fs-verity, USB
without a controller, a TPM without a chip. Nothing is installed. See Documentation/virt/uml in its source.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twinhull_images.run import run
from twinhull_installer import paths

from tests.support.edits import Edit, apply

CACHE = paths.CACHE / "kernel"
PACKAGE = "linux-source-6.1"
SOURCE = Path("/usr/src/linux-source-6.1.tar.xz")
"""Of the package above, which installer/packages-test.txt names."""
CONFIG = Path(__file__).with_name("config")
MAKE = ("make", "-s", "ARCH=um", "KBUILD_BUILD_USER=twinhull", "KBUILD_BUILD_HOST=twinhull")
BUILD_SECONDS = 2400.0
EDITS = (
    # Suspended, it sleeps as when idle, which it does not while no timer is set; and none is then.
    Edit(
        "arch/um/kernel/um_arch.c",
        "\tum_idle_sleep();\n\treturn 0;\n",
        "\tos_suspend_sleep();\n\treturn 0;\n",
    ),
    Edit(
        "arch/um/kernel/um_arch.c",
        "static int um_suspend_enter(suspend_state_t state)\n",
        "extern void os_suspend_sleep(void);\n\nstatic int um_suspend_enter(suspend_state_t state)\n",
    ),
    Edit(
        "arch/um/os-Linux/time.c",
        "void os_idle_sleep(void)\n{\n",
        "void os_suspend_sleep(void)\n{\n"
        "\tsigset_t none;\n\n\tsigemptyset(&none);\n\tsigsuspend(&none);\n}\n\n"
        "void os_idle_sleep(void)\n{\n",
    ),
    # A tick while it waits for a program that runs is that program's time, and was counted as the kernel's
    # own: getrusage(2) said of every program that it had not run at all.
    Edit(
        "arch/um/os-Linux/skas/process.c",
        "\t\tCATCH_EINTR(err = waitpid(pid, &status, WUNTRACED | __WALL));\n\t\tif (err < 0) {\n"
        '\t\t\tprintk(UM_KERN_ERR "userspace - wait failed, "\n',
        "\t\tuserspace_runs = 1;\n"
        "\t\tCATCH_EINTR(err = waitpid(pid, &status, WUNTRACED | __WALL));\n"
        "\t\tuserspace_runs = 0;\n"
        "\t\tif (err < 0) {\n"
        '\t\t\tprintk(UM_KERN_ERR "userspace - wait failed, "\n',
    ),
    Edit(
        "arch/um/os-Linux/skas/process.c",
        "void userspace(struct uml_pt_regs *regs, unsigned long *aux_fp_regs)\n",
        "volatile int userspace_runs;\n\n"
        "void userspace(struct uml_pt_regs *regs, unsigned long *aux_fp_regs)\n",
    ),
    Edit(
        "arch/um/os-Linux/signal.c",
        "\t\tmemset(&regs, 0, sizeof(regs));\n\ttimer_handler(",
        "\t\tmemset(&regs, 0, sizeof(regs));\n\tregs.is_user = userspace_runs;\n\ttimer_handler(",
    ),
    Edit(
        "arch/um/os-Linux/signal.c",
        "static void timer_real_alarm_handler(mcontext_t *mc)\n",
        "extern volatile int userspace_runs;\n\nstatic void timer_real_alarm_handler(mcontext_t *mc)\n",
    ),
)


class NotConfigured(AssertionError):
    """The kernel's own rules left out what our configuration asks for."""


def kernel() -> Path:
    """The kernel, built where that is not done yet (five minutes on two processors).

    Raises:
        NotConfigured: an option was left out.
        twinhull_images.run.CommandFailed: it could not be built; the log beside it tells.
    """
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", PACKAGE], capture_output=True, text=True, check=True
    ).stdout
    key = hashlib.sha256(f"{version} {MAKE} {EDITS}\n".encode() + CONFIG.read_bytes()).hexdigest()[:16]
    result = CACHE / f"linux-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    if result.exists():
        return result  # also while another is being built
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits for the first
        if not result.exists():
            with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as name:
                _build(Path(name)).rename(result)
    return result


def _build(work: Path) -> Path:
    log = CACHE / "build.log"
    sys.stderr.write("Building a kernel (minutes)\n")
    run(["tar", "-C", str(work), "--strip-components=1", "-xJf", str(SOURCE)], log, lambda: None)
    for edit in EDITS:
        apply(edit, work)
    run([*MAKE, "defconfig"], log, lambda: None, directory=work)
    merge = [str(work / "scripts/kconfig/merge_config.sh"), "-m", ".config", str(CONFIG)]
    run(merge, log, lambda: None, directory=work)
    run([*MAKE, "olddefconfig"], log, lambda: None, directory=work)
    got = set((work / ".config").read_text().splitlines())
    wanted = [line for line in CONFIG.read_text().splitlines() if line and not line.startswith("#")]
    left_out = [line for line in wanted if not _holds(line, got)]
    if left_out:
        raise NotConfigured(", ".join(left_out))
    jobs = str(len(os.sched_getaffinity(0)))
    run([*MAKE, "-j", jobs, "linux"], log, lambda: None, timeout=BUILD_SECONDS, directory=work)
    run(["strip", "linux"], log, lambda: None, directory=work)
    return work / "linux"


def _holds(line: str, got: set[str]) -> bool:
    option, _, value = line.partition("=")
    return line in got or (value == "n" and f"{option}=y" not in got)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends, too
    kernel()
