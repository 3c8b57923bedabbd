"""Which kind of volume a partition has, or is to get."""

from __future__ import annotations

import logging
from pathlib import Path

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_hypervisor.disk.client import DiskdClient
from twinhull_hypervisor.disk.settings import DIRECTORY
from twinhull_hypervisor.storage.base import PartitionVolume
from twinhull_hypervisor.storage.dm_crypt import DmCryptVolume
from twinhull_hypervisor.storage.paths import VolumePaths
from twinhull_hypervisor.storage.server_share import Shares
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_hypervisor.tpm.chip import Tpm

logger = logging.getLogger(__name__)


def volume_of(
    partition: Partition,
    directory: Path,
    diskd: DiskdClient,
    tpm: Tpm,
    containers: Path = DIRECTORY,
    shares: Shares | None = None,
) -> PartitionVolume:
    """A partition's volume: of the kind it is, else on dm-crypt where the kernel has that.

    What is there stays what it is, also while diskd cannot be reached.

    Args:
        directory: existing, ours, 0711.
        containers: where diskd mounts what is inside.
        shares: where the server's part of the corporate key comes from; None for a key without.
    """
    paths = VolumePaths(directory)
    if paths.head.exists() or (not paths.overlay.exists() and _able(diskd)):
        return DmCryptVolume(partition, directory, diskd, containers, tpm=tpm, shares=shares)
    return QemuLuksVolume(partition, directory, tpm=tpm, shares=shares)


def _able(diskd: DiskdClient) -> bool:
    try:
        answer = diskd.able()
    except TwinhullError as error:
        logger.warning("no volume is made on dm-crypt: %s", error.message)
        return False
    if not answer.able:
        logger.info("no volume is made on dm-crypt: %s", answer.reason)
    return answer.able
