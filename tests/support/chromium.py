"""A real headless Chromium, driven over its DevTools protocol; no driver program in between."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

PATIENCE = 60.0
"""Seconds after which something awaited counts as missing; a loaded machine is slow."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--window-size=1280,900",
)


class Browser:
    """One browser with one page.

    Attributes:
        complaints: what the page's console and the network said that they should not have.
    """

    def __init__(self, profile: Path, trusted_key: str) -> None:
        self.complaints: list[str] = []
        self._command = [
            "nice",
            shutil.which("chromium") or "chromium",
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--ignore-certificate-errors-spki-list={trusted_key}",
            "about:blank",
        ]
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._session_id = ""

    async def __aenter__(self) -> Browser:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while found := await self._process.stderr.readline():
                if url := re.search(rb"DevTools listening on (ws://\S+)", found):
                    break
        assert url is not None
        self._drain = asyncio.create_task(self._process.stderr.read())
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(url[1].decode(), max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        targets = await self.send("Target.getTargets")
        page = next(t["targetId"] for t in targets["targetInfos"] if t["type"] == "page")
        attached = await self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session_id = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility", "Network"):
            await self.send(f"{domain}.enable")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self.send("Browser.close")
        await self._socket.close()
        await self._http.close()
        async with asyncio.timeout(PATIENCE):
            await self._process.wait()
        for task in (self._reader, self._drain):
            task.cancel()
        await asyncio.gather(self._reader, self._drain, return_exceptions=True)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; its result."""
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session_id:
            message["sessionId"] = self._session_id
        await self._socket.send_str(json.dumps(message))
        async with asyncio.timeout(PATIENCE):
            result = await answer
        assert "error" not in result, f"{method}: {result}"
        return dict(result["result"])

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event)
            elif event["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif event["method"] == "Log.entryAdded":
                entry = event["params"]["entry"]
                if entry["level"] in ("warning", "error"):
                    self.complaints.append(entry["text"])
            elif event["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(event["params"]["exceptionDetails"]))

    async def open(self, url: str) -> None:
        """Load a page."""
        async with self.loading():
            await self.send("Page.navigate", url=url)

    @contextlib.asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        """What is done inside loads a page; it is there afterwards."""
        self._loaded.clear()
        yield
        async with asyncio.timeout(PATIENCE):
            await self._loaded.wait()

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def wait_for(self, script: str) -> Any:
        """The value of an expression once it is true."""
        poll = f"new Promise(done => {{ const look = () => {{ const value = ({script});"
        return await self.run(f"{poll} value ? done(value) : setTimeout(look, 50); }}; look(); }})")

    async def press(self, key: str, *, shift: bool = False) -> None:
        """A key on the keyboard: a named one, or a character."""
        codes = {"Tab": 9, "Enter": 13, "Space": 32}
        text = {"Enter": "\r", "Space": " "}.get(key, "" if key in codes else key)
        name = " " if key == "Space" else key
        common = {"key": name, "windowsVirtualKeyCode": codes.get(key, 0), "modifiers": 8 if shift else 0}
        await self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    async def type(self, text: str) -> None:
        """Type where the keyboard's focus is."""
        await self.send("Input.insertText", text=text)

    async def theme(self, scheme: str, *, width: int = 1280) -> None:
        """``light`` or ``dark``, and how wide the window is."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.send("Emulation.setEmulatedMedia", features=features)
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )

    async def screenshot(self, path: Path) -> None:
        """What the window shows."""
        answer = await self.send("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))
