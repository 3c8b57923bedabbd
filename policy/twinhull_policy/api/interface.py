"""``org.twinhull.Daemon1``: the one definition of what the daemon can be asked.

Every method has a :class:`Rule` in :data:`RULES`: the polkit action that guards it. The service refuses to
start if a method lacks one, so a method without declared authorisation is unreachable. Each is flagged as
unprivileged, or sd-bus would refuse every caller but root before polkit is asked. Secrets (passphrases,
enrolment tokens) never travel as arguments: the client passes the read end of a pipe, type ``h``, and the
daemon reads at most :data:`SECRET_LIMIT` bytes from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sdbus import (
    DbusFailedError,
    DbusInterfaceCommonAsync,
    DbusUnprivilegedFlag,
    dbus_method_async,
    dbus_signal_async,
)

BUS_NAME = "org.twinhull.Daemon1"
OBJECT_PATH = "/org/twinhull/Daemon1"
INTERFACE = "org.twinhull.Daemon1"
ERROR_NAME = "org.twinhull.Error"
SECRET_LIMIT = 1024
"""Longest secret accepted through a pipe, bytes."""
URL_LIMIT = 256
INITIATOR_LIMIT = 100
FINGERPRINT_LIMIT = 100
LOG_LIMIT = 1000
PORT_LIMIT = 40
"""Longest name of a port or device, characters; a chain of five hubs (USB 2.0, 4.1.1) takes fewer."""
QUESTION_LIMIT = 1024
"""Longest question about an exchange, bytes of JSON."""
RULES_LIMIT = 256 * 1024
"""Longest owner's document, bytes."""


class DaemonError(DbusFailedError):
    """A refusal or failure on the bus; its one argument is the JSON of an ErrorReport."""

    dbus_error_name = ERROR_NAME


@dataclass(frozen=True)
class Rule:
    """How a method is guarded.

    Attributes:
        action: the polkit action its caller must hold.
        in_safe_mode: whether it is served while the daemon's state cannot be relied on: it reads, opens a
            partition that is there, takes something away, or recovers.
    """

    action: str
    in_safe_mode: bool = False


RULES: dict[str, Rule] = {
    "get_status": Rule("org.twinhull.read", in_safe_mode=True),
    "get_grade": Rule("org.twinhull.read", in_safe_mode=True),
    "recover_state": Rule("org.twinhull.recover", in_safe_mode=True),
    "list_devices": Rule("org.twinhull.read", in_safe_mode=True),
    "get_log": Rule("org.twinhull.log", in_safe_mode=True),
    "enrol": Rule("org.twinhull.enrol"),
    "begin_device_grant": Rule("org.twinhull.enrol"),
    "poll_device_grant": Rule("org.twinhull.read"),
    "create_partition": Rule("org.twinhull.partition"),
    "start_partition": Rule("org.twinhull.partition", in_safe_mode=True),
    "stop_partition": Rule("org.twinhull.partition", in_safe_mode=True),
    "suspend_partition": Rule("org.twinhull.partition", in_safe_mode=True),
    "resume_partition": Rule("org.twinhull.partition", in_safe_mode=True),
    "reset_partition": Rule("org.twinhull.partition"),
    "update_partition": Rule("org.twinhull.partition"),
    "list_snapshots": Rule("org.twinhull.read", in_safe_mode=True),
    "snapshot_partition": Rule("org.twinhull.partition"),
    "roll_back_partition": Rule("org.twinhull.partition"),
    "remove_snapshot": Rule("org.twinhull.partition"),
    "get_key_slots": Rule("org.twinhull.read", in_safe_mode=True),
    "add_passphrase": Rule("org.twinhull.keys"),
    "change_passphrase": Rule("org.twinhull.keys"),
    "add_recovery_code": Rule("org.twinhull.keys"),
    "add_pin": Rule("org.twinhull.keys"),
    "unlock_volume": Rule("org.twinhull.partition"),
    "remove_key_slot": Rule("org.twinhull.keys"),
    "recover_volume": Rule("org.twinhull.keys"),
    "rotate_volume_key": Rule("org.twinhull.keys"),
    "lock_volume": Rule("org.twinhull.partition", in_safe_mode=True),
    "grow_volume": Rule("org.twinhull.partition"),
    "restore_header": Rule("org.twinhull.keys", in_safe_mode=True),
    "wipe_partition": Rule("org.twinhull.wipe"),
    "get_escrow": Rule("org.twinhull.keys"),
    "open_display": Rule("org.twinhull.display", in_safe_mode=True),
    "ask_exchange": Rule("org.twinhull.exchange", in_safe_mode=True),
    "settle_exchange": Rule("org.twinhull.exchange", in_safe_mode=True),
    "prove_vpn": Rule("org.twinhull.prove", in_safe_mode=True),
    "attach_device": Rule("org.twinhull.device"),
    "detach_device": Rule("org.twinhull.device", in_safe_mode=True),
    "answer_device": Rule("org.twinhull.device"),
    "forget_device": Rule("org.twinhull.device"),
    "set_kill_switch": Rule("org.twinhull.device"),
    "get_owner_rules": Rule("org.twinhull.rules"),
    "set_owner_rules": Rule("org.twinhull.rules"),
}


class DaemonInterface(DbusInterfaceCommonAsync, interface_name=INTERFACE):
    """What ``twinhulld`` offers on the system bus. Results are JSON of the structs in api.types."""

    @dbus_method_async(result_signature="s", flags=DbusUnprivilegedFlag)
    async def get_status(self) -> str:
        """Everything at a glance, a :class:`~twinhull_policy.api.types.Status`."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s", flags=DbusUnprivilegedFlag)
    async def get_grade(self) -> str:
        """Check the host now and return a :class:`~twinhull_policy.api.types.Grade`."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s", flags=DbusUnprivilegedFlag)
    async def recover_state(self) -> str:
        """Make a new state database and keep the damaged one, in safe mode; the daemon then starts anew.

        A :class:`~twinhull_policy.api.types.StateRecovered`.
        """
        raise NotImplementedError

    @dbus_method_async(result_signature="s", flags=DbusUnprivilegedFlag)
    async def list_devices(self) -> str:
        """A JSON list of :class:`~twinhull_policy.api.types.DeviceInfo`."""
        raise NotImplementedError

    @dbus_method_async(input_signature="u", result_signature="s", flags=DbusUnprivilegedFlag)
    async def get_log(self, limit: int) -> str:
        """The newest ``limit`` entries (1 to LOG_LIMIT), a :class:`~twinhull_policy.api.types.Log`."""
        raise NotImplementedError

    @dbus_method_async(input_signature="sh", result_signature="s", flags=DbusUnprivilegedFlag)
    async def enrol(self, url: str, token: int) -> str:
        """Enrol this laptop at ``url`` with the token read from a pipe.

        Returns an :class:`~twinhull_policy.api.types.EnrolmentInfo` once the certificate is held and the
        first statement is in force. Asking again for the same server while enrolled changes nothing.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="ss", result_signature="s", flags=DbusUnprivilegedFlag)
    async def begin_device_grant(self, url: str, initiator: str) -> str:
        """Ask the server at ``url`` to let this laptop in without a token (RFC 8628).

        ``initiator`` (at most INITIATOR_LIMIT characters) is who the server is told has started this.
        Returns a :class:`~twinhull_policy.api.types.GrantPrompt` for the person; an earlier request is over.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="s", flags=DbusUnprivilegedFlag)
    async def poll_device_grant(self, server_fingerprint: str) -> str:
        """Ask what came of it, and enrol if it was granted; only for the caller that began it.

        ``server_fingerprint`` is what the person has compared; without it nothing is enrolled. Returns a
        :class:`~twinhull_policy.api.types.GrantProgress`. Who stops asking has cancelled.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="sh", flags=DbusUnprivilegedFlag)
    async def create_partition(self, name: str, passphrase: int) -> None:
        """Create a partition's encrypted volume over its golden image; leaves it stopped and unlocked."""
        raise NotImplementedError

    @dbus_method_async(input_signature="sh", flags=DbusUnprivilegedFlag)
    async def start_partition(self, name: str, passphrase: int) -> None:
        """Start a partition. An empty passphrase uses the key already held since the last unlock."""
        raise NotImplementedError

    @dbus_method_async(input_signature="sb", flags=DbusUnprivilegedFlag)
    async def stop_partition(self, name: str, force: bool) -> None:
        """Shut a partition down and wait for it; with ``force`` cut its power."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def suspend_partition(self, name: str) -> None:
        """Pause a partition in memory."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def resume_partition(self, name: str) -> None:
        """Let a paused partition go on; the corporate one only after its confinement was checked."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def reset_partition(self, name: str) -> None:
        """Throw away everything a stopped, unlocked partition wrote and go back to its golden image."""
        raise NotImplementedError

    @dbus_method_async(input_signature="sh", flags=DbusUnprivilegedFlag)
    async def update_partition(self, name: str, passphrase: int) -> None:
        """Start a stopped partition with an empty disk over the newer golden image that the status names.

        The disk of before becomes a snapshot, and comes back by itself where the new image does not come up,
        which the status tells. An empty passphrase as for a start.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="s", flags=DbusUnprivilegedFlag)
    async def list_snapshots(self, name: str) -> str:
        """The states that can be gone back to, oldest first, a JSON list of SnapshotInfo (api.types)."""
        raise NotImplementedError

    @dbus_method_async(input_signature="ss", result_signature="s", flags=DbusUnprivilegedFlag)
    async def snapshot_partition(self, name: str, title: str) -> str:
        """Keep a partition's disk and UEFI variables as they are; a running machine stands still meanwhile.

        ``title`` (at most SNAPSHOT_NAME_LIMIT characters) may be empty. Returns the new
        :class:`~twinhull_policy.api.types.SnapshotInfo`.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="ssh", result_signature="s", flags=DbusUnprivilegedFlag)
    async def roll_back_partition(self, name: str, snapshot: str, passphrase: int) -> str:
        """Put a snapshot in the place of a stopped partition's disk; an empty passphrase as for a start.

        Returns the SnapshotInfo of what was there. Going back to that undoes it.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="ss", flags=DbusUnprivilegedFlag)
    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove a snapshot for good."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="s", flags=DbusUnprivilegedFlag)
    async def get_key_slots(self, name: str) -> str:
        """What opens a partition's volume, a JSON list of :class:`~twinhull_policy.api.types.KeySlot`."""
        raise NotImplementedError

    @dbus_method_async(input_signature="sshh", flags=DbusUnprivilegedFlag)
    async def add_passphrase(self, name: str, kind: str, secret: int, new: int) -> None:
        """Let another passphrase open a volume; ``secret``, of ``kind`` (UnlockKind), opens it now."""
        raise NotImplementedError

    @dbus_method_async(input_signature="shh", flags=DbusUnprivilegedFlag)
    async def change_passphrase(self, name: str, old: int, new: int) -> None:
        """Put one passphrase in another's place."""
        raise NotImplementedError

    @dbus_method_async(input_signature="ssh", result_signature="h", flags=DbusUnprivilegedFlag)
    async def add_recovery_code(self, name: str, kind: str, secret: int) -> int:
        """Make a recovery code, which voids an earlier one; it is read once from the returned pipe."""
        raise NotImplementedError

    @dbus_method_async(input_signature="sshh", flags=DbusUnprivilegedFlag)
    async def add_pin(self, name: str, kind: str, secret: int, pin: int) -> None:
        """Let this laptop's security chip open a volume for a PIN, as long as the laptop starts as it did."""
        raise NotImplementedError

    @dbus_method_async(input_signature="ssh", flags=DbusUnprivilegedFlag)
    async def unlock_volume(self, name: str, kind: str, secret: int) -> None:
        """Open a volume and hold its key until the service ends, for a start with an empty passphrase.

        A recovery code is not taken here: using one voids it, which :meth:`recover_volume` does.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="sssh", flags=DbusUnprivilegedFlag)
    async def remove_key_slot(self, name: str, slot: str, kind: str, secret: int) -> None:
        """Take a way in away; ``secret`` opens the volume by another one."""
        raise NotImplementedError

    @dbus_method_async(input_signature="shh", result_signature="h", flags=DbusUnprivilegedFlag)
    async def recover_volume(self, name: str, code: int, new: int) -> int:
        """Open a volume by its recovery code and set a passphrase; all former ones and the code are void.

        Leaves it unlocked. The next code is read once from the pipe that is returned.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="sh", result_signature="h", flags=DbusUnprivilegedFlag)
    async def rotate_volume_key(self, name: str, passphrase: int) -> int:
        """Give a stopped partition's volume a new key, kept for this passphrase alone and a new code.

        The code is read once from the pipe that is returned.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def restore_header(self, name: str) -> None:
        """Put the verified backup of a stopped partition's disk header back; not needed, it does nothing."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def lock_volume(self, name: str) -> None:
        """Close a stopped partition's volume: its key is nowhere in memory from then on."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="t", flags=DbusUnprivilegedFlag)
    async def grow_volume(self, name: str) -> int:
        """Have an open volume take what this laptop's settings, or its device, have for it; its bytes."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="s", flags=DbusUnprivilegedFlag)
    async def wipe_partition(self, name: str) -> str:
        """Destroy a partition for good, running or not: its keys, headers, snapshots and contents.

        Returns a :class:`~twinhull_policy.api.types.WipeDone`.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="s", flags=DbusUnprivilegedFlag)
    async def get_escrow(self, name: str) -> str:
        """The corporate volume's :class:`~twinhull_policy.escrow.Sealed`; the personal one has none."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="h", flags=DbusUnprivilegedFlag)
    async def open_display(self, name: str) -> int:
        """One new SPICE channel connection to a running partition, as a file descriptor."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="s", flags=DbusUnprivilegedFlag)
    async def ask_exchange(self, question: str) -> str:
        """Whether something may cross the border: JSON of exchange.ExchangeFacts, never the content.

        Returns an :class:`~twinhull_policy.api.types.ExchangeAnswer`; a refusal is in the owner's log.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="ss", flags=DbusUnprivilegedFlag)
    async def settle_exchange(self, ticket: str, outcome: str) -> None:
        """Say what became of an exchange (ExchangeOutcome); the receipt is in the owner's log.

        ``sent`` comes before the content goes: the policy that is in force then is asked once more.
        """
        raise NotImplementedError

    @dbus_method_async(result_signature="s", flags=DbusUnprivilegedFlag)
    async def prove_vpn(self) -> str:
        """Run the leak canaries now; a :class:`~twinhull_policy.api.types.VpnProof`."""
        raise NotImplementedError

    @dbus_method_async(input_signature="ssb", flags=DbusUnprivilegedFlag)
    async def attach_device(self, port: str, partition: str, read_only: bool) -> None:
        """Send a device to a partition it may go to, and wait until it is there or refused.

        ``read_only`` gives storage as a disk that cannot be written to, instead of the USB device.
        """
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def detach_device(self, port: str) -> None:
        """Take a device back; it goes to nobody until it is attached by hand or plugged in again."""
        raise NotImplementedError

    @dbus_method_async(input_signature="ssb", flags=DbusUnprivilegedFlag)
    async def answer_device(self, port: str, answer: str, remember: bool) -> None:
        """Answer for a device that is asked about: ``corporate``, ``personal`` or ``deny``."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def forget_device(self, port: str) -> None:
        """Forget what a port has seen and what was answered for the device in it; decide anew."""
        raise NotImplementedError

    @dbus_method_async(input_signature="sb", flags=DbusUnprivilegedFlag)
    async def set_kill_switch(self, kind: str, off: bool) -> None:
        """Switch ``camera`` or ``microphone`` off everywhere, or back on. It stays so over restarts."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s", flags=DbusUnprivilegedFlag)
    async def get_owner_rules(self) -> str:
        """The owner's document: where devices go that the corporate partition does not take."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", flags=DbusUnprivilegedFlag)
    async def set_owner_rules(self, document: str) -> None:
        """Replace the owner's document; an empty one puts the defaults back. All is decided anew at once."""
        raise NotImplementedError

    @dbus_signal_async("s")
    def changed(self) -> str:
        """Something a :class:`~twinhull_policy.api.types.Status` shows has changed; the argument names it."""
        raise NotImplementedError
