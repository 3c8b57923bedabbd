"""``twinhull enroll --device-code``: a code on this screen, and somebody elsewhere who lets it in (RFC 8628).

The daemon enrols only while this command goes on asking it, so whoever stops the command has cancelled.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from typing import TYPE_CHECKING

import typer

from twinhull_client.cli import output
from twinhull_client.errors import (
    BadUsage,
    FingerprintNotCompared,
    FingerprintNotConfirmed,
    ServerDiffers,
)

if TYPE_CHECKING:
    from twinhull_policy.api.types import EnrolmentInfo, GrantPrompt

    from twinhull_client.bus import Daemon

SHORTEST_WAIT = 0.2
"""Between two questions to the daemon, seconds; it asks the server no sooner than the server wants."""
LONGEST_WAIT = 60.0


def let_in(url: str, given_fingerprint: str | None, initiator: str | None, *, as_json: bool) -> EnrolmentInfo:
    """Ask to be let in at ``url``, show what is to be compared, and wait until it is answered.

    Args:
        url: the fleet server, checked.
        given_fingerprint: the server's, if somebody compared it beforehand; asked about otherwise.
        initiator: who the server is told has started this; the person's account name if None.
        as_json: print what is to be compared as JSON and ask nothing.

    Raises:
        BadUsage: what was given is no fingerprint, or the initiator's name is too long.
        FingerprintNotCompared, FingerprintNotConfirmed, ServerDiffers: nothing was enrolled.
        TwinhullError: the daemon's refusals.
    """
    from twinhull_policy.api.interface import INITIATOR_LIMIT
    from twinhull_policy.trust.fingerprint import normal_fingerprint

    from twinhull_client import bus

    compared = "" if given_fingerprint is None else normal_fingerprint(given_fingerprint)
    if given_fingerprint is not None and not compared:
        raise BadUsage(detail="The fingerprint has to be 32 hexadecimal digits, in groups or not.")
    if not compared and (as_json or not sys.stdin.isatty()):
        raise FingerprintNotCompared
    who = pwd.getpwuid(os.getuid()).pw_name if initiator is None else initiator
    if len(who) > INITIATOR_LIMIT or not who.isprintable():
        raise BadUsage(detail=f"--initiator takes at most {INITIATOR_LIMIT} printable characters.")
    with bus.session() as session:
        with output.busy("Asking the server"):
            prompt = session.run(lambda daemon: daemon.begin_device_grant(url, who))
        _show(prompt, who, as_json=as_json)
        if compared and compared != prompt.server_fingerprint:
            raise ServerDiffers(server=prompt.server, found=prompt.server_fingerprint)
        if not compared and not typer.confirm(
            "Does the approval page show the same fingerprint of the server?"
        ):
            raise FingerprintNotConfirmed
        with output.busy("Waiting to be let in; Ctrl-C cancels"):
            return session.run(lambda daemon: _wait(daemon, prompt.server_fingerprint))


async def _wait(daemon: Daemon, fingerprint: str) -> EnrolmentInfo:
    """Until it is answered; ends with the daemon's word that the code has expired at the latest."""
    told = ""
    while True:
        progress = await daemon.poll_device_grant(fingerprint)
        if progress.enrolment is not None:
            return progress.enrolment
        if progress.problem and progress.problem != told:
            output.warn(progress.problem)
        told = progress.problem
        await asyncio.sleep(min(LONGEST_WAIT, max(SHORTEST_WAIT, progress.wait_seconds)))


def _show(prompt: GrantPrompt, who: str, *, as_json: bool) -> None:
    if as_json:
        output.emit(prompt)
        sys.stdout.flush()
        return
    output.say("To let this laptop in, an administrator opens")
    output.say(f"  {prompt.verification_uri}")
    output.say("and compares:")
    output.fields(
        "",
        [
            ("Code", prompt.user_code),
            ("Started by", who),
            ("Fingerprint of this laptop's key", prompt.key_sha256),
            ("Fingerprint of the server", prompt.server_fingerprint),
            ("Good for", f"{prompt.expires_in // 60} minutes"),
        ],
    )
    if sys.stdout.isatty() and prompt.verification_uri_complete:
        import segno

        segno.make(prompt.verification_uri_complete, error="m").terminal(compact=True)
    sys.stdout.flush()
