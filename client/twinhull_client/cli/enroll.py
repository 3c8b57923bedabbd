"""``twinhull enroll``: this laptop joins a fleet, with or without a person present."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from twinhull_policy.names import Partition

from twinhull_client.cli import output, secrets
from twinhull_client.cli.daemon import call
from twinhull_client.errors import BadUsage, ImageWaitExpired

if TYPE_CHECKING:
    from twinhull_policy.api.types import EnrolmentInfo

    from twinhull_client.bus import Daemon

IMAGE_WAIT = 3600
"""Longest wait for a golden image before its partition is created, seconds."""
LOOK_AGAIN = 5
"""Seconds after which the state is looked at even if no signal came; download progress has none."""


def enroll(
    url: Annotated[str | None, typer.Argument(metavar="URL", help="The fleet server, https://…")] = None,
    token: Annotated[
        str | None, typer.Option(metavar="T", help="The one-time token. Others can see it.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the token from FILE, '-' for standard input.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read everything from an answer file (docs/answers.md)."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="With --answers: say whether the file is good, and do nothing.")
    ] = False,
    device_code: Annotated[
        bool, typer.Option("--device-code", help="Show a code that an administrator lets in; no token.")
    ] = False,
    server_fingerprint: Annotated[
        str | None,
        typer.Option(metavar="F", help="With --device-code: the server's fingerprint, compared beforehand."),
    ] = None,
    initiator: Annotated[
        str | None,
        typer.Option(metavar="WHO", help="With --device-code: who the server is told has started this."),
    ] = None,
    json: output.Json = False,
) -> None:
    """Enrol this laptop at a fleet server, with a one-time token or a code that is let in there."""
    if sum((token is not None, token_file is not None, answers is not None, device_code)) > 1:
        raise BadUsage(detail="Give one of --token, --token-file, --answers and --device-code.")
    if not device_code and not (server_fingerprint is None and initiator is None):
        raise BadUsage(detail="--server-fingerprint and --initiator go with --device-code.")
    if check and answers is None:
        raise BadUsage(detail="--check goes with --answers.")
    passphrases: dict[Partition, str] = {}
    start = False
    if answers is not None:
        from twinhull_client.cli.answers import read_answers

        read = read_answers(answers)
        if url is not None and url != read.url:
            raise BadUsage(detail="The address given is not the one in the answer file.")
        if check:
            output.say("The answer file is good, as far as can be said without the server.")
            return
        url, token, passphrases, start = read.url, read.token, read.passphrases(), read.start
    if url is None:
        raise BadUsage(detail="The fleet server's address is missing.")
    from twinhull_client.addresses import check_url

    check_url(url)
    if device_code:
        from twinhull_client.cli.device_code import let_in

        _told(let_in(url, server_fingerprint, initiator, as_json=json), as_json=json)
        return
    if token_file is not None:
        token = secrets.from_file(token_file, "enrolment token")
    if token is None:
        token = secrets.ask("Enrolment token", "enrolment token")
    enrolment = _enrol(url, _checked(token))
    for partition, secret in passphrases.items():
        _create(partition, secret)
    for partition, secret in passphrases.items() if start else ():
        _start(partition, secret)
    _told(enrolment, as_json=json)
    if not json:
        for partition in passphrases:
            output.say(f"{partition} is created{' and running' if start else ''}.")


def _told(enrolment: EnrolmentInfo, *, as_json: bool) -> None:
    if as_json:
        output.emit(enrolment)
        return
    output.say(f"This laptop is {enrolment.device_id} of {enrolment.tenant}, enrolled at {enrolment.server}.")


def _checked(token: str) -> str:
    from twinhull_policy.trust.token import parse_token

    parse_token(token)
    return token.strip()


def _enrol(url: str, token: str) -> EnrolmentInfo:
    return call(lambda daemon: daemon.enrol(url, token), "Enrolling")


def _create(partition: Partition, secret: str) -> None:
    async def create(daemon: Daemon) -> None:
        if await _wait_for_image(daemon, partition):
            await daemon.create_partition(partition, secret)

    call(create, f"Fetching the image of {partition} and creating it")


def _start(partition: Partition, secret: str) -> None:
    call(lambda daemon: daemon.start_partition(partition, secret), f"Starting {partition}")


async def _wait_for_image(daemon: Daemon, partition: Partition) -> bool:
    """Wait until a partition's image is here, or none is offered; False if the partition exists already.

    The core knows why there is no image, and says so when the partition is created.
    """
    deadline = time.monotonic() + IMAGE_WAIT
    while time.monotonic() < deadline:
        status = await daemon.status()
        if any(p.name == partition and p.state != "absent" for p in status.partitions):
            return False
        if all(image.ready for image in status.images if image.partition == partition):
            return True
        await asyncio.sleep(LOOK_AGAIN)
    raise ImageWaitExpired(partition=partition, minutes=IMAGE_WAIT // 60)
