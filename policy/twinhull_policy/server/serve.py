"""The serving process: TLS, the interface, the admin socket, and signatures renewed in time."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from twinhull_policy.errors import TwinhullError
from twinhull_policy.server import expiry, memory
from twinhull_policy.server.accounts import Accounts
from twinhull_policy.server.admin_app import admin_application, device_grants
from twinhull_policy.server.desk import Desk
from twinhull_policy.server.doorbell import CHANGED, DONE
from twinhull_policy.server.http import Interface
from twinhull_policy.server.hub import Hub
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.listener import HttpsListener
from twinhull_policy.server.pki import device_ca_path, server_certificate_path, server_key_path
from twinhull_policy.server.service import FleetService

log = logging.getLogger("twinhull.server")
CLOCK_SLACK = 60.0
"""Revocations are looked for this far back: a transaction takes its time to commit."""


def tls_context(layout: Layout) -> ssl.SSLContext:
    """TLS 1.3; a client certificate is asked for, and if one comes it must be of the device CA and valid."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(server_certificate_path(layout), server_key_path(layout))
    context.load_verify_locations(device_ca_path(layout))
    context.verify_mode = ssl.CERT_OPTIONAL
    # No laptop resumes a session; each ticket would hold the laptop's certificate and take memory and time.
    context.num_tickets = 0
    return context


def admin_tls_context(layout: Layout) -> ssl.SSLContext:
    """TLS 1.3, for administrators: no client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(server_certificate_path(layout), server_key_path(layout))
    return context


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0 takes any free one."""

    host: str
    port: int


class Server:
    """Runs until told to stop.

    Attributes:
        hub: its open streams.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._service = FleetService(layout)
        self.hub = Hub(self._alive)
        self._grants = device_grants(layout, self._service.storage)
        self._interface = Interface(self._service, self.hub, self.push, self._grants)
        self._pushing = asyncio.Lock()
        self._looked = time.time()

    async def run(self, devices: Address, administrators: Address | None) -> None:
        """Serve laptops, and administrators if they have an address, until SIGTERM or SIGINT.

        Raises CannotListen.
        """
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await asyncio.to_thread(self._service.resign)
        listener = HttpsListener(self._interface.application(), tls_context(self._layout))
        async with AsyncExitStack() as opened:
            await listener.start(devices.host, devices.port)
            opened.push_async_callback(listener.stop)
            opened.callback(self.hub.close_all)
            if administrators is not None:
                await self._serve_administrators(administrators, opened)
            self._layout.admin_socket.unlink(missing_ok=True)
            admin = await asyncio.start_unix_server(self._admin, self._layout.admin_socket, limit=1024)
            self._layout.admin_socket.chmod(0o660)
            opened.callback(self._layout.admin_socket.unlink, missing_ok=True)
            opened.callback(admin.close)
            log.info("serving host=%s port=%d", listener.host, listener.port)
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(work)
                    for work in (
                        self.hub.keep_alive(),
                        self._keep_signed(),
                        self._keep_seen(),
                        self._keep_out(),
                        self._keep_warning(),
                        self._keep_rolling(),
                    )
                ]
                await stopping.wait()
                for task in background:
                    task.cancel()
            log.info("stopping")

    async def _serve_administrators(self, address: Address, opened: AsyncExitStack) -> None:
        desk = Desk(
            self._layout,
            self._service.storage,
            Accounts(self._layout, self._service.storage),
            self._grants,
            self.hub.listening,
            self.hub.is_open,
        )
        application = admin_application(desk, self.push)
        listener = HttpsListener(application, admin_tls_context(self._layout))
        await listener.start(address.host, address.port)
        opened.push_async_callback(listener.stop)
        self._grants.open_at(listener.port)
        log.info("administrators host=%s port=%d", listener.host, listener.port)

    def _alive(self, device_id: str) -> None:
        self._interface.seen[device_id] = time.time()

    async def push(self) -> None:
        """Sign what changed, push it to whoever listens, and cut off who was revoked."""
        async with self._pushing:
            signed = await asyncio.to_thread(self._service.resign)
            revoked = await self._cut_off_revoked()
            for device_id, event in signed.items():
                self.hub.push(device_id, event)
            log.info("pushed signed=%d listening=%d revoked=%d", len(signed), self.hub.listening(), revoked)

    async def _cut_off_revoked(self) -> int:
        """End the streams of devices that were revoked since this was last done; how many those are."""
        began = time.time()
        revoked = await asyncio.to_thread(self._service.revoked_since, self._looked - CLOCK_SLACK)
        self._looked = began
        listening = [device_id for device_id in revoked if self.hub.is_open(device_id)]
        for device_id in listening:
            self.hub.close(device_id)
        return len(listening)

    async def _admin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One line in, one line out; file permissions say who may connect."""
        try:
            async with asyncio.timeout(LIMITS.body_seconds):
                line = await reader.readline()
            if line == CHANGED:
                await self.push()
                writer.write(DONE)
                await writer.drain()
        except (TimeoutError, ValueError, ConnectionError):
            pass
        except TwinhullError as error:
            log.error("cannot push code=%s why=%s", error.code, error.message)
        finally:
            writer.close()

    async def _keep_signed(self) -> None:
        while True:
            await asyncio.sleep(LIMITS.resign_seconds)
            try:
                await self.push()
            except Exception:  # whatever it is (a full disk, say), the next round may succeed
                log.exception("cannot renew signatures")

    async def _keep_out(self) -> None:
        """Whoever was revoked loses the stream within a second, even if nobody told this process."""
        while True:
            await asyncio.sleep(LIMITS.revocation_seconds)
            try:
                await self._cut_off_revoked()
            except Exception:  # as above
                log.exception("cannot look for revocations")

    async def _keep_rolling(self) -> None:
        """Rollouts go on when a ring has lasted long enough, also when nobody reports just then."""
        while True:
            await asyncio.sleep(LIMITS.rollout_seconds)
            try:
                if await asyncio.to_thread(self._service.tick):
                    await self.push()
            except Exception:  # as above
                log.exception("cannot look after rollouts")

    async def _keep_warning(self) -> None:
        """Say once a day what is about to expire."""
        while True:
            try:
                for sentence in await asyncio.to_thread(expiry.warnings, self._layout, time.time()):
                    log.warning("expiry: %s", sentence)
            except Exception:  # a key's file that cannot be read now is no reason to stop serving
                log.exception("cannot see what expires")
            await asyncio.sleep(expiry.DAY)

    async def _keep_seen(self) -> None:
        while True:
            await asyncio.sleep(LIMITS.seen_seconds)
            seen, self._interface.seen = self._interface.seen, {}
            if seen:
                try:
                    await asyncio.to_thread(self._service.saw, seen)
                except Exception:  # as above
                    log.exception("cannot note who was seen")


def run(layout: Layout, devices: Address, administrators: Address | None) -> None:
    """Serve until stopped, with a structured log on stderr.

    On uvloop, whose TLS connections take a tenth of the memory (docs/scale.md).
    """
    logging.basicConfig(
        level=logging.INFO, format="ts=%(asctime)s level=%(levelname)s %(name)s %(message)s", force=True
    )
    logging.Formatter.converter = time.gmtime

    memory.keep_small()
    memory.open_many()

    async def main() -> None:
        await Server(layout).run(devices, administrators)

    uvloop.run(main())
