"""``twinhull vpn``: the corporate tunnel and the proof that it confines."""

from __future__ import annotations

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call
from twinhull_client.cli.group import command_group
from twinhull_client.errors import CanaryFailed

app = command_group("The corporate VPN: its state, and the proof that nothing leaves beside it.")


@app.command()
def status(json: output.Json = False) -> None:
    """Show the tunnel and its confinement."""
    from twinhull_client.cli.status import show_vpn

    vpn = call(lambda daemon: daemon.status()).vpn
    if json:
        output.emit(vpn)
    else:
        show_vpn(vpn)


@app.command()
def prove(json: output.Json = False) -> None:
    """Run the leak canaries now; exit status 1 if one fails."""
    proof = call(lambda daemon: daemon.prove_vpn(), "Trying to leak")
    if json:
        output.emit(proof)
    else:
        rows = [[c.name, "passed" if c.passed else "FAILED", c.evidence] for c in proof.canaries]
        output.table(["canary", "result", "evidence"], rows)
    if not proof.passed:
        failed = ", ".join(canary.name for canary in proof.canaries if not canary.passed)
        raise CanaryFailed(canaries=failed or "the daemon gave no canary")
