# SPDX-License-Identifier: GPL-2.0-only
"""Programs that run until a test has seen what it waits for, whenever that is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Gate", "when"]

_LOOK = 0.01  # seconds


def when(seen: Callable[[], object], act: Callable[[], object]) -> threading.Thread:
    """A thread that does ``act()`` once ``seen()`` is true."""

    def wait() -> None:
        while not seen():
            time.sleep(_LOOK)
        act()

    # Not waited for by the interpreter: a test may fail before anything is seen.
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


class Gate:
    """``shell`` is a shell's command that waits until the gate is opened."""

    def __init__(self, directory: Path) -> None:
        path = directory / "gate"
        os.mkfifo(path)
        # Both ways, so that it does not matter who comes first.
        self._pipe = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.shell = f"read line < '{path}'"

    def open_when(self, seen: Callable[[], object], programs: int = 1) -> None:
        """Let so many programs go on once ``seen()`` is true."""
        when(seen, lambda: os.write(self._pipe, b"\n" * programs))

    def close(self) -> None:
        """End it; whoever waits still does not any more."""
        os.close(self._pipe)
