# SPDX-License-Identifier: GPL-2.0-only
"""Which processes are there to be boosted and disturbed: a file that all read."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Victim", "choose", "publish", "published"]

_FILE = Path("/dev/shm/soak-victims")


@dataclass(frozen=True)
class Victim:
    """A process of programs/pages.c, and how many of its pages have loops."""

    pid: int
    pages: int


def publish(victims: Iterable[Victim], file: Path = _FILE) -> None:
    """Tell all processes; who reads meanwhile gets these or those of before."""
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text("".join(f"{each.pid} {each.pages}\n" for each in victims))
    fresh.replace(file)


def published(file: Path = _FILE) -> list[Victim]:
    """Those that were told last; some may have ended since."""
    rows = [row.split() for row in file.read_text().splitlines()]
    return [Victim(int(pid), int(pages)) for pid, pages in rows]


def choose(victims: Sequence[Victim], chance: random.Random) -> Victim:
    """One of them. Raises ProcessLookupError if all have been killed just now."""
    if not victims:
        raise ProcessLookupError
    return chance.choice(victims)
