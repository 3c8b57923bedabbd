"""The virtual laptop itself: one QEMU with firmware, TPM, IOMMU and a USB controller, driven over QMP.

Everything of one laptop is in its directory: disk overlay, firmware variables, TPM state, sockets, logs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from .emulator import Emulator, emulator
from .image import ACCESS_KEY

MEMORY_MIB = 5120
PROCESSORS = 2
CPU = "max,la57=off"
"""With SVM, so that the laptop has KVM."""
BOOT_SECONDS = 300.0
STATE = "state"


class LaptopFailed(AssertionError):
    """The virtual laptop did not do what it was told."""


@dataclass(frozen=True)
class Disks:
    """What a laptop is started from.

    Attributes:
        base: its system disk, a qcow2 that is not written to.
        payload: a read-only disk labelled ``payload``, or None.
        state: a directory with a saved running state (``Machine.save``), or None for a cold boot.
    """

    base: Path
    payload: Path | None = None
    state: Path | None = None


class Machine:
    """One virtual laptop, from power on to power off.

    Attributes:
        directory: where everything of it is.
        qmp: its monitor, the QMP commands of QEMU.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._emulator: Emulator = emulator(print)
        self.qmp: QEMUMonitorProtocol
        self._process: subprocess.Popen[bytes] | None = None

    # Power

    def start(self, disks: Disks) -> None:
        """Switch it on; returns as soon as its monitor answers, or when the saved state is running again."""
        self.directory.mkdir(parents=True, exist_ok=True)
        overlay = self.directory / "disk.qcow2"
        if not overlay.exists():
            self._fresh(disks, overlay)
        self._start_tpm()
        port = _free_port()
        (self.directory / "ssh-port").write_text(str(port))
        arguments = self._arguments(disks, port)
        if disks.state is not None:
            arguments += ["-incoming", "defer"]
        with (self.directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._emulator.environment},
                start_new_session=True,
            )
        (self.directory / "qemu.pid").write_text(str(self._process.pid))
        self.attach()
        if disks.state is not None:
            self._restore(disks.state)

    def _fresh(self, disks: Disks, overlay: Path) -> None:
        source = disks.base if disks.state is None else disks.state / "disk.qcow2"
        backing = ["-b", str(source.resolve()), "-F", "qcow2"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, overlay], check=True)
        saved = disks.state or Path()
        shutil.copyfile(
            saved / "vars.fd" if disks.state else self._emulator.variables, self.directory / "vars.fd"
        )
        (self.directory / "tpm").mkdir(exist_ok=True)
        if disks.state is not None:
            shutil.copytree(saved / "tpm", self.directory / "tpm", dirs_exist_ok=True)

    def attach(self) -> None:
        """Open the monitor of a laptop that runs, also one that another process started."""
        path = self.directory / "qmp.sock"
        deadline = time.monotonic() + 30
        while True:
            try:
                self.qmp = QEMUMonitorProtocol(str(path))
                self.qmp.connect()
                return
            except (OSError, QMPError) as error:
                if time.monotonic() > deadline or not self.running():
                    log = (self.directory / "qemu.log").read_text(errors="replace")[-1500:]
                    raise LaptopFailed(f"QEMU did not start: {log}") from error
                time.sleep(0.1)

    def _restore(self, state: Path) -> None:
        self.command("migrate-incoming", uri=f"file:{state / STATE}")
        deadline = time.monotonic() + 120
        while self.command("query-status")["status"] in ("inmigrate", "postmigrate"):
            if time.monotonic() > deadline:
                raise LaptopFailed("the saved state was not restored in 120 s")
            time.sleep(0.2)
        if self.command("query-status")["status"] == "paused":
            self.command("cont")

    def set_clock(self) -> None:
        """Give the laptop the time of now, as its hardware clock would after a sleep."""
        self.ssh("date", "-u", "-s", f"@{time.time():.0f}")

    def save(self, directory: Path) -> None:
        """Save the running laptop whole into ``directory`` and end it; many can be started from it."""
        directory.mkdir(parents=True)
        self.command("stop")
        self.command("migrate-set-parameters", **{"max-bandwidth": 0})
        self.command("migrate", uri=f"file:{directory / STATE}")
        deadline = time.monotonic() + 300
        while (status := self.command("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise LaptopFailed(f"the laptop's state was not saved: {self.command('query-migrate')}")
            time.sleep(0.2)
        self.command("quit")
        self._wait_gone(30)
        (self.directory / "disk.qcow2").rename(directory / "disk.qcow2")
        shutil.copyfile(self.directory / "vars.fd", directory / "vars.fd")
        shutil.copytree(self.directory / "tpm", directory / "tpm", dirs_exist_ok=True)

    def running(self) -> bool:
        """Whether its QEMU is there."""
        if self._process is not None:
            return self._process.poll() is None
        try:
            pid = int((self.directory / "qemu.pid").read_text())
            return b"qemu-system" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ValueError):
            return False

    def cut_power(self) -> None:
        """Take its power away, between any two instructions."""
        pid = int((self.directory / "qemu.pid").read_text())
        if self.running():
            os.kill(pid, signal.SIGKILL)
        self._wait_gone(30)

    def power_off(self, seconds: float = 120) -> None:
        """Press the power button and wait."""
        self.command("system_powerdown")
        self._wait_gone(seconds)

    def _wait_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > deadline:
                raise LaptopFailed(f"the laptop did not switch off in {seconds:.0f} s")
            time.sleep(0.1)
        self.close()

    def close(self) -> None:
        """Let go of the monitor; of the TPM and the shared SSH connection, too, once the laptop is off."""
        if hasattr(self, "qmp"):
            with suppress(QMPError, EOFError, OSError):
                self.qmp.close()
        if not self.running() and (self.directory / "ssh").exists():
            subprocess.run(self.ssh_command("-O", "exit"), capture_output=True, check=False)
        pid_file = self.directory / "tpm.pid"
        if not self.running() and pid_file.exists():
            pid = int(pid_file.read_text())
            try:
                if b"swtpm" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGTERM)
            except (FileNotFoundError, ProcessLookupError):
                pass
            pid_file.unlink(missing_ok=True)

    # Talking to it

    def command(self, name: str, /, **arguments: Any) -> Any:
        """Run a QMP command. Raises QMPError."""
        return self.qmp.cmd(name, **arguments)

    def ssh_command(self, *options: str) -> list[str]:
        """The words that begin an SSH call into it, as root."""
        port = (self.directory / "ssh-port").read_text()
        shared = [f"ControlPath={self.directory}/ssh", "ControlMaster=auto", "ControlPersist=600"]
        trust = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=20",
        ]
        words = ["ssh", "-i", str(ACCESS_KEY), "-p", port]
        for option in (*shared, *trust):
            words += ["-o", option]
        return [*words, *options, "root@127.0.0.1"]

    def try_ssh(self, *words: str, stdin: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a program in it, any exit status; the words are passed on unharmed."""
        remote = shlex.join(words)
        return subprocess.run(
            [*self.ssh_command(), "--", remote], input=stdin, capture_output=True, text=True, timeout=timeout
        )

    def ssh(self, *words: str, stdin: str = "", timeout: float = 120) -> str:
        """Run a program in it that has to succeed; returns what it printed."""
        done = self.try_ssh(*words, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise LaptopFailed(
                f"{words} ended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done.stdout

    def wait_for_ssh(self, seconds: float = BOOT_SECONDS) -> float:
        """Wait until it lets one in; returns the seconds that took."""
        began = time.monotonic()
        while True:
            try:
                if self.try_ssh("true", timeout=30).returncode == 0:
                    return time.monotonic() - began
            except subprocess.TimeoutExpired:
                pass
            if not self.running() or time.monotonic() - began > seconds:
                raise LaptopFailed(
                    f"no way in after {seconds:.0f} s; the console says: {self.console()[-2000:]}"
                )
            time.sleep(0.5)

    def plug(self, driver: str, *, port: int | None = None, name: str = "", **properties: Any) -> str:
        """Plug a device of QEMU's own into the USB controller; returns its name for ``unplug``."""
        name = name or f"{driver}-{time.monotonic_ns()}"
        if port is not None:
            properties["port"] = str(port)
        if driver == "usb-storage" and "drive" not in properties:
            properties["drive"] = self._blank_stick(name)
        self.command("device_add", driver=driver, id=name, bus="usb.0", **properties)
        return name

    def _blank_stick(self, name: str) -> str:
        path = self.directory / f"{name}.raw"
        path.touch()
        os.truncate(path, 64 * 1024 * 1024)
        file = {"driver": "file", "filename": str(path)}
        self.command("blockdev-add", **{"node-name": f"{name}-disk", "driver": "raw", "file": file})
        return f"{name}-disk"

    def unplug(self, name: str) -> None:
        """Pull a device out."""
        self.command("device_del", id=name)

    def console(self) -> str:
        """What it wrote to its serial line."""
        return (self.directory / "console.log").read_text(errors="replace")

    def screenshot(self, result: Path) -> None:
        """Its screen as a PNG."""
        self.command("screendump", filename=str(result), format="png")

    def memory(self, result: Path) -> None:
        """All of its RAM, as a file."""
        # pmemsave reads physical addresses; q35 maps RAM below 2 GiB and from 4 GiB on.
        below = min(MEMORY_MIB, 2048) * 1024 * 1024
        self.command("pmemsave", val=0, size=below, filename=str(result))
        rest = MEMORY_MIB * 1024 * 1024 - below
        if rest:
            upper = result.with_suffix(".upper")
            self.command("pmemsave", val=4 * 1024**3, size=rest, filename=str(upper))
            with result.open("ab") as whole, upper.open("rb") as part:
                shutil.copyfileobj(part, whole)
            upper.unlink()

    # Its parts

    def _start_tpm(self) -> None:
        tpm = self.directory / "tpm"
        tpm.mkdir(exist_ok=True)
        (self.directory / "tpm.sock").unlink(missing_ok=True)
        options = ["--tpmstate", f"dir={tpm}", "--ctrl", f"type=unixio,path={self.directory}/tpm.sock"]
        options += ["--log", f"file={self.directory}/tpm.log", "--pid", f"file={self.directory}/tpm.pid"]
        subprocess.run(["swtpm", "socket", "--tpm2", *options, "--terminate", "--daemon"], check=True)

    def _arguments(self, disks: Disks, port: int) -> list[str]:
        here = self.directory
        overlay = (
            f"driver=qcow2,node-name=system,discard=unmap,file.driver=file,file.filename={here}/disk.qcow2"
        )
        words = [
            *self._emulator.command,
            *("-name", "laptop"),
            *("-machine", "q35,smm=off"),
            *("-accel", "tcg,thread=multi"),
            *("-cpu", CPU),
            *("-smp", str(PROCESSORS)),
            *("-m", str(MEMORY_MIB)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={self._emulator.firmware}"),
            *("-drive", f"if=pflash,unit=1,format=raw,file={here}/vars.fd"),
            *("-device", "intel-iommu,intremap=on,caching-mode=on"),
            *("-chardev", f"socket,id=tpm,path={here}/tpm.sock"),
            *("-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"),
            *("-blockdev", overlay, "-device", "virtio-blk-pci,drive=system,bootindex=0,addr=4"),
            *("-netdev", f"user,id=lan,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
            *("-device", "virtio-net-pci,netdev=lan,mac=52:54:00:7a:00:01,addr=5"),
            *("-device", "VGA,addr=2"),
            *("-device", "virtio-rng-pci,addr=6"),
            *("-device", "qemu-xhci,id=usb,p2=8,p3=8,addr=8"),
            *("-device", "pcie-root-port,id=slot0,chassis=1,addr=10"),
            *("-device", "pcie-root-port,id=slot1,chassis=2,addr=11"),
            *("-chardev", f"file,id=console,path={here}/console.log", "-serial", "chardev:console"),
            *("-qmp", f"unix:{here}/qmp.sock,server=on,wait=off"),
        ]
        if disks.payload is not None:
            payload = (
                f"driver=raw,node-name=payload,read-only=on,file.driver=file,file.filename={disks.payload}"
            )
            words += ["-blockdev", payload, "-device", "virtio-blk-pci,drive=payload,addr=7"]
        return words


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
