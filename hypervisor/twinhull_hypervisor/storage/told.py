"""What a file system refuses, told as an error that a person can do something about."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from twinhull_policy.names import Partition

from twinhull_hypervisor.storage.errors import DiskFull, VolumeFailed


class OfPartition(Protocol):
    """Whatever works for one partition."""

    _partition: Partition


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=OfPartition)


def told(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Have a method raise DiskFull or VolumeFailed for what the disk refuses (ENOSPC, EIO, EROFS, ...).

    Also where putting in order is refused as well: what was cut short is finished or undone when the volume
    is opened, started or destroyed next.
    """

    @functools.wraps(method)
    def telling(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(what=f"the volume of {self._partition.value}") from error
            reason = f"{error.strerror or 'the disk refuses'}."
            raise VolumeFailed(partition=self._partition.value, reason=reason) from error

    return telling
