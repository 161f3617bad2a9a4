# SPDX-License-Identifier: GPL-2.0-only
"""Attaches an engine to each process whose id is written to a pipe.

What writes there is a script that then becomes another program, so a process is
attached once it runs that. Its children are followed.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.guest.waiting import is_alive
from ubypass.engine.engine import Engine
from ubypass.engine.profile import Profile
from ubypass.engine.summary import Summary
from ubypass.errors import UbError
from ubypass.process.status import identify

__all__ = ["Newcomers", "figures"]

_STEP = 0.05  # seconds


class Newcomers:
    """Those that run a ``program`` with that in its path, for ``engine``.

    ``pipe`` is read without waiting; ``profile`` is what each begins with.
    """

    def __init__(
        self,
        engine: Engine,
        pipe: int,
        program: str,
        profile: Profile,
    ) -> None:
        self._profile = profile
        self._engine = engine
        self._pipe = pipe
        self._program = program
        self._waiting: set[int] = set()
        self._attached = 0
        self._failed: list[str] = []

    def step(self) -> None:
        """Let the engine work for a moment, and see who is new."""
        with contextlib.suppress(BlockingIOError):
            self._waiting.update(map(int, os.read(self._pipe, 1 << 16).split()))
        for pid in tuple(self._waiting):
            self._try(pid)
        self._engine.step(_STEP)

    def figures(self) -> dict[str, Any]:
        """What boosting came to, over all that were attached, children included."""
        return {
            "attached": self._attached,
            "failed_to_attach": self._failed,
            **figures(self._engine.summaries()),
        }

    def _try(self, pid: int) -> None:
        try:
            if self._program not in os.readlink(f"/proc/{pid}/exe"):
                return  # the script still
            process = identify(pid)
            target = self._engine.attach(
                process, children=True, profile=self._profile.inherited()
            )
            self._engine.watch_end(target)
            self._attached += 1
        except FileNotFoundError:
            pass  # it has ended
        except UbError as error:
            if is_alive(pid):
                self._failed.append(error.message)
        self._waiting.discard(pid)


def figures(summaries: Sequence[Summary]) -> dict[str, Any]:
    """What boosting came to, over all those processes."""
    notes = Counter(note for summary in summaries for note in summary.notes)
    return {
        "processes": len(summaries),
        "boosted": sum(summary.stats.dispatched > 0 for summary in summaries),
        "calls": sum(summary.calls for summary in summaries),
        "dispatched": sum(summary.stats.dispatched for summary in summaries),
        "exits": dict(sum((_exits(s) for s in summaries), Counter())),
        "runs": sum(summary.stats.runs for summary in summaries),
        "loads": sum(summary.loads for summary in summaries),
        "build_seconds": round(sum(s.build_seconds for s in summaries), 1),
        "notes": dict(notes.most_common()),
    }


def _exits(summary: Summary) -> Counter[str]:
    exits = summary.stats.exits
    return Counter({reason.name.lower(): n for reason, n in exits.items() if n})
