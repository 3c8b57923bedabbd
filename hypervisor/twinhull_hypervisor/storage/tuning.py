"""How much work one guess at a passphrase costs on this machine (RFC 9106, section 4).

RFC 9106 has one choose the lanes, then as much memory as can be afforded, then passes until the time is used
up. Memory is taken by the machine's size so that unlocking never drives a laptop that runs two guests out of
memory; the passes come from one measurement, so that a faster machine asks more of a guesser.
"""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Callable

from twinhull_hypervisor.storage.slots import Argon2Cost, derive

SECONDS = 1.0
"""Of processor time that one guess is to take here."""
SHARE = 64
"""One part in so many of the machine's memory, between the bounds below."""
LEAST_KIB, MOST_KIB = 128 * 1024, 512 * 1024
LEAST_PASSES, MOST_PASSES = 3, 16
LANES = 4


def tuned(memory_kib: int, measure: Callable[[Argon2Cost], float]) -> Argon2Cost:
    """The work for a machine of so much memory, never below the default of Argon2Cost.

    Args:
        memory_kib: of the whole machine.
        measure: seconds of processor time that one derivation with a cost takes.
    """
    share = min(max(memory_kib // SHARE, LEAST_KIB), MOST_KIB)
    seconds = max(measure(Argon2Cost(memory_kib=share, iterations=1, lanes=LANES)), 1e-6)
    passes = int(SECONDS / seconds)
    if passes < LEAST_PASSES:
        share = max(int(share * SECONDS / seconds / LEAST_PASSES), LEAST_KIB)
        passes = LEAST_PASSES
    return Argon2Cost(memory_kib=share, iterations=min(passes, MOST_PASSES), lanes=LANES)


@functools.cache
def for_this_machine() -> Argon2Cost:
    """Measured once in a process; that takes about as long as a third of a guess."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    return tuned(memory, _measure)


def _measure(cost: Argon2Cost) -> float:
    began = time.process_time()
    derive(secrets.token_bytes(16), secrets.token_bytes(16), cost)
    return time.process_time() - began
