"""Running commands inside a guest, through its QEMU guest agent and libvirt's socket (root only)."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

import libvirt  # type: ignore[import-untyped]
import libvirt_qemu  # type: ignore[import-untyped]

AGENT_SECONDS = 20
POLL_SECONDS = 0.2
"""The agent has no way to say that a command ended; it must be asked."""


@dataclass(frozen=True)
class Ran:
    """A command that ended inside a guest."""

    status: int
    output: str


class Guest:
    """One running guest.

    Args:
        partition: ``corporate`` or ``personal``.
    """

    def __init__(self, partition: str) -> None:
        self._name = f"twinhull-{partition}"

    def _domain(self) -> tuple[Any, Any]:
        connection = libvirt.open("qemu:///system")
        return connection, connection.lookupByName(self._name)

    def agent(self, command: str, **arguments: object) -> Any:
        """One command of the guest agent's protocol."""
        connection, domain = self._domain()
        try:
            request = json.dumps({"execute": command, "arguments": arguments})
            return json.loads(libvirt_qemu.qemuAgentCommand(domain, request, AGENT_SECONDS, 0))["return"]
        finally:
            connection.close()

    def wait_until_up(self, seconds: float = 240) -> None:
        """Wait until the agent answers; under emulation a boot takes 20 to 100 seconds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.agent("guest-ping")
            except libvirt.libvirtError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return

    def run(self, *argv: str, seconds: float = 120, stdin: bytes = b"") -> Ran:
        """Run a program in the guest as root and wait for its end."""
        started = self.agent(
            "guest-exec",
            **{
                "path": argv[0],
                "arg": list(argv[1:]),
                "capture-output": True,
                "input-data": base64.b64encode(stdin).decode(),
            },
        )
        deadline = time.monotonic() + seconds
        while True:
            status = self.agent("guest-exec-status", pid=started["pid"])
            if status["exited"]:
                raw = base64.b64decode(status.get("out-data", "")) + base64.b64decode(
                    status.get("err-data", "")
                )
                return Ran(status.get("exitcode", 128), raw.decode("utf-8", "replace"))
            if time.monotonic() > deadline:
                raise TimeoutError(f"{argv[0]} did not end within {seconds} s in {self._name}")
            time.sleep(POLL_SECONDS)

    def pid(self) -> int:
        """The pid of its QEMU process on the host."""
        from pathlib import Path

        return int(Path(f"/run/libvirt/qemu/{self._name}.pid").read_text())
