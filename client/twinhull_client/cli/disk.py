"""``twinhull disk``: the partitions' encrypted volumes and what opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from twinhull_policy.api.types import UnlockKind
from twinhull_policy.names import Partition

from twinhull_client.cli import output, secrets, sheet
from twinhull_client.cli.daemon import call
from twinhull_client.cli.group import command_group
from twinhull_client.cli.partition import confirm
from twinhull_client.errors import BadUsage, WipeNotProved

app = command_group("The partitions' encrypted volumes.")
Name = Annotated[Partition, typer.Argument(metavar="PARTITION", help="corporate or personal.")]
CodeFile = Annotated[
    Path | None,
    typer.Option(
        "--recovery-code-file",
        metavar="FILE",
        help="Prove it with the recovery code in FILE, '-' for standard input, instead of a passphrase.",
    ),
]
NewFile = Annotated[
    Path | None,
    typer.Option(
        "--new-passphrase-file",
        metavar="FILE",
        help="Read the new one from FILE, '-' for standard input.",
    ),
]
PinFile = Annotated[
    Path | None,
    typer.Option(
        "--pin-file",
        metavar="FILE",
        help="Prove it with the PIN in FILE, '-' for standard input, and the TPM, instead of a passphrase.",
    ),
]
NewPinFile = Annotated[
    Path | None,
    typer.Option(
        "--new-pin-file", metavar="FILE", help="Read the new PIN from FILE, '-' for standard input."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write the code into a new FILE to print, and not here."),
]
KINDS = {
    "passphrase": "a passphrase",
    "recovery-code": "the recovery code",
    "tpm": "a PIN, with this laptop's TPM",
    "escrow": "your employer, by an escrow",
}


@app.command()
def status(json: output.Json = False) -> None:
    """Show each volume: its encryption, whether it is unlocked, its size."""
    partitions = call(lambda daemon: daemon.status()).partitions
    if json:
        output.emit(partitions)
        return
    rows = [
        [p.name, p.encryption or "no volume", "unlocked" if p.unlocked else "locked", f"{p.disk_gib} GiB"]
        for p in partitions
    ]
    output.table(["partition", "encryption", "key", "size"], rows)


@app.command()
def slots(partition: Name, json: output.Json = False) -> None:
    """List what opens a volume."""
    found = call(lambda daemon: daemon.key_slots(partition))
    if json:
        output.emit(found)
        return
    rows = [[s.id, KINDS[s.kind] + (f" to {s.escrow_key}" if s.escrow_key else "")] for s in found]
    output.table(["slot", "opened by"], rows)


@app.command()
def add(
    partition: Name,
    what: Annotated[UnlockKind, typer.Argument(metavar="WHAT", help="passphrase, recovery-code or tpm.")],
    passphrase_file: secrets.PassphraseFile = None,
    recovery_code_file: CodeFile = None,
    pin_file: PinFile = None,
    new_passphrase_file: NewFile = None,
    new_pin_file: NewPinFile = None,
    to: Output = None,
    json: output.Json = False,
) -> None:
    """Add a passphrase, a PIN for the TPM, or make a recovery code; the last two void earlier ones."""
    _one_standard_input(passphrase_file, recovery_code_file, pin_file, new_passphrase_file, new_pin_file)
    if what == "tpm":
        kind, secret = _proof(partition, passphrase_file, recovery_code_file, pin_file)
        pin = secrets.pin(new_pin_file, f"PIN for {partition} on this laptop", twice=True)
        call(lambda daemon: daemon.add_pin(partition, kind, secret, pin), "Giving the key to the TPM")
        output.say(f"{partition} opens by the PIN, as long as this laptop starts as it did now.")
        return
    if what == "passphrase":
        kind, secret = _proof(partition, passphrase_file, recovery_code_file, pin_file)
        new = secrets.passphrase(new_passphrase_file, f"Another passphrase for {partition}", twice=True)
        call(lambda daemon: daemon.add_passphrase(partition, kind, secret, new), "Adding the passphrase")
        output.say(f"{partition} has another passphrase.")
        return
    with sheet.prepared(to) as show:
        kind, secret = _proof(partition, passphrase_file, recovery_code_file, pin_file)
        show(
            partition,
            call(lambda daemon: daemon.add_recovery_code(partition, kind, secret), "Making a recovery code"),
            as_json=json,
        )


@app.command()
def change(
    partition: Name, passphrase_file: secrets.PassphraseFile = None, new_passphrase_file: NewFile = None
) -> None:
    """Change a passphrase."""
    _one_standard_input(passphrase_file, new_passphrase_file)
    old = secrets.passphrase(passphrase_file, f"Passphrase of {partition} to change")
    new = secrets.passphrase(new_passphrase_file, f"New passphrase for {partition}", twice=True)
    call(lambda daemon: daemon.change_passphrase(partition, old, new), "Changing the passphrase")
    output.say(f"The passphrase of {partition} is changed.")


@app.command()
def remove(
    partition: Name,
    slot: Annotated[str, typer.Argument(metavar="SLOT", help="As 'twinhull disk slots' lists it.")],
    passphrase_file: secrets.PassphraseFile = None,
    recovery_code_file: CodeFile = None,
    pin_file: PinFile = None,
) -> None:
    """Remove a way to open a volume; prove that you have another one."""
    _one_standard_input(passphrase_file, recovery_code_file, pin_file)
    kind, secret = _proof(partition, passphrase_file, recovery_code_file, pin_file)
    call(lambda daemon: daemon.remove_key_slot(partition, slot, kind, secret), "Removing the slot")
    output.say(f"Slot {slot} of {partition} is removed.")


@app.command()
def unlock(partition: Name, passphrase_file: secrets.PassphraseFile = None, pin_file: PinFile = None) -> None:
    """Open a volume by a PIN where the TPM has a slot, or by a passphrase; 'partition start' asks no more."""
    _one_standard_input(passphrase_file, pin_file)
    if passphrase_file is None and pin_file is None:
        by_pin = any(slot.kind == "tpm" for slot in call(lambda daemon: daemon.key_slots(partition)))
    else:
        by_pin = pin_file is not None
    if by_pin and passphrase_file is None:
        kind, secret = _tpm(partition, pin_file)
    else:
        kind, secret = _proof(partition, passphrase_file, None, pin_file)
    call(lambda daemon: daemon.unlock_volume(partition, kind, secret), f"Unlocking {partition}")
    output.say(f"{partition} is unlocked; 'twinhull partition start {partition}' starts it.")


@app.command()
def recover(
    partition: Name,
    recovery_code_file: CodeFile = None,
    new_passphrase_file: NewFile = None,
    to: Output = None,
    json: output.Json = False,
) -> None:
    """Open a volume with its recovery code and choose a new passphrase; what opened it before is void."""
    _one_standard_input(recovery_code_file, new_passphrase_file)
    with sheet.prepared(to) as show:
        code = secrets.recovery_code(recovery_code_file, f"Recovery code of {partition}")
        new = secrets.passphrase(new_passphrase_file, f"New passphrase for {partition}", twice=True)
        fresh = call(lambda daemon: daemon.recover_volume(partition, code, new), f"Recovering {partition}")
        show(partition, fresh, as_json=json)


@app.command()
def rotate(
    partition: Name,
    passphrase_file: secrets.PassphraseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    to: Output = None,
    json: output.Json = False,
) -> None:
    """Give a stopped partition's volume a new key; one passphrase and a new recovery code open it then."""
    if not yes:
        confirm(
            f"Other passphrases of {partition} and its recovery code will be void. Type 'yes' to go on",
            f"the new key of {partition}",
        )
    with sheet.prepared(to) as show:
        old = secrets.passphrase(passphrase_file, f"Passphrase of {partition}")
        fresh = call(lambda daemon: daemon.rotate_volume_key(partition, old), "Changing the key")
        show(partition, fresh, as_json=json)


@app.command("restore-header")
def restore_header(partition: Name) -> None:
    """Put the verified backup of a damaged disk header back; the data is not touched."""
    call(lambda daemon: daemon.restore_header(partition), f"Putting the header of {partition} back")
    output.say(f"The header of {partition} is as it was; 'twinhull partition start {partition}' starts it.")


@app.command()
def lock(partition: Name) -> None:
    """Close the volume of a stopped partition: its key is nowhere in memory from then on."""
    call(lambda daemon: daemon.lock_volume(partition), f"Locking the volume of {partition}")
    output.say(f"The volume of {partition} is locked; 'twinhull disk unlock {partition}' opens it.")


@app.command()
def grow(partition: Name) -> None:
    """Have an open volume take what /etc/twinhull/diskd.json, or its device, has for it now."""
    size = call(lambda daemon: daemon.grow_volume(partition), f"Growing the volume of {partition}")
    output.say(f"The volume of {partition} has {size / 2**30:.1f} GiB.")


@app.command()
def escrow(partition: Name) -> None:
    """Print what your employer can open the corporate volume with, as JSON; of no use to anybody else."""
    output.emit(call(lambda daemon: daemon.escrow(partition)))


@app.command()
def wipe(
    partition: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: output.Json = False,
) -> None:
    """Destroy a partition for good: its keys, headers, snapshots and contents; shows a signed receipt."""
    if not yes:
        confirm(
            f"Everything in {partition} and its snapshots will be gone; nothing brings it back.\n"
            f"Type '{partition}' to go on",
            f"the wipe of {partition}",
            answer=partition,
        )
    done = call(lambda daemon: daemon.wipe_partition(partition), f"Wiping {partition}")
    if json:
        output.emit(done)
    else:
        output.say(f"{partition} is destroyed: its keys, headers, snapshots and contents.")
        signed = "signed by this laptop" if done.envelope else f"not signed: {done.unsigned}"
        output.say(f"The receipt, {signed}; 'twinhull log' keeps it:")
        output.say(done.envelope or done.receipt)
    problems = [f"{path} could still be read" for path in done.survived]
    problems += [] if done.other_untouched else ["the other partition's files are not the ones from before"]
    if problems:
        raise WipeNotProved(partition=partition, what="; ".join(problems))


def _proof(
    partition: Partition, passphrase: Path | None, code: Path | None, pin: Path | None
) -> tuple[UnlockKind, str]:
    """What the person opens the volume with now."""
    if sum(file is not None for file in (passphrase, code, pin)) > 1:
        raise BadUsage(detail="Give a passphrase, a recovery code or a PIN, and one of them only.")
    if code is not None:
        return "recovery-code", secrets.recovery_code(code, "")
    if pin is not None:
        return _tpm(partition, pin)
    return "passphrase", secrets.passphrase(passphrase, f"Passphrase of {partition}")


def _tpm(partition: Partition, pin: Path | None) -> tuple[UnlockKind, str]:
    return "tpm", secrets.pin(pin, f"PIN of {partition}")


def _one_standard_input(*files: Path | None) -> None:
    if sum(file == Path("-") for file in files) > 1:
        raise BadUsage(detail="Standard input holds one secret; give the other one in a file.")
