# SPDX-License-Identifier: GPL-2.0-only
"""Counters of a store's client."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Figures"]


@dataclass(slots=True)
class Figures:
    """Numbers since the start; threads count without a lock, as a lost one is no harm.

    ``hits``: translations that came from the store, and ``misses``: those it did not
    have; ``waits``: times that another machine's translation was waited for;
    ``refused``: stored ones that were not taken, since their signature or form was
    wrong or the verifier refused them; ``unshareable``: regions that depend on their
    process; ``skipped``: questions not asked, by the circuit breaker or the budget;
    ``failures`` of the store, too slow answers among them; ``requests`` in all;
    ``published``: translations of this machine that the store has taken.
    """

    hits: int = 0
    misses: int = 0
    waits: int = 0
    refused: int = 0
    unshareable: int = 0
    skipped: int = 0
    failures: int = 0
    requests: int = 0
    published: int = 0

    def as_json(self) -> dict[str, int]:
        """Plain data; names are part of the interface of ``ub service status``."""
        return asdict(self)
