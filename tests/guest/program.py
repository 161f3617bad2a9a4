# SPDX-License-Identifier: GPL-2.0-only
"""A test program under control; see ``programs/common.h`` for the stages."""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["ACT", "END", "PROGRAMS", "WARM", "Program"]

WARM, ACT, END = 0, 1, 2
_MIDST = 2
PROGRAMS = Path(__file__).resolve().parents[2] / "build" / "tests" / "guest"
_NICE = 10


class Program:
    """A running program and its control page; killed at the end of ``with``."""

    def __init__(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        home: Path = PROGRAMS,
    ) -> None:
        """``prefix``: what runs it, if it does not run by itself; ``home``: where it
        is.
        """
        self._files = contextlib.ExitStack()
        self._file = self._files.enter_context(
            tempfile.NamedTemporaryFile(dir="/dev/shm")  # noqa: SIM115
        )
        self._file.truncate(mmap.PAGESIZE)
        self._page = mmap.mmap(self._file.fileno(), mmap.PAGESIZE)
        self._words = memoryview(self._page).cast("I")
        # A file, not a pipe: nobody has to empty it.
        self._output = self._files.enter_context(
            tempfile.TemporaryFile(dir="/dev/shm")  # noqa: SIM115
        )
        self._errors = self._files.enter_context(
            tempfile.TemporaryFile(dir="/dev/shm")  # noqa: SIM115
        )
        self._process = subprocess.Popen(
            [*prefix, str(home / name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            env={
                **os.environ,
                **(environment or {}),
                "UB_TEST_CONTROL": self._file.name,
            },
            # Loops that never wait must not keep the rest of the guest waiting.
            preexec_fn=lambda: os.nice(_NICE),
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill it, and forget what it has said."""
        self._process.kill()
        self._process.wait()
        self._words.release()
        self._page.close()
        self._files.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def has_acted(self) -> bool:
        """Whether it says that it has done what the second stage is about."""
        return self._words[1] != 0

    @property
    def is_warm(self) -> bool:
        """Whether its hot loop runs."""
        return self._words[2] != 0

    @property
    def is_in_the_midst(self) -> bool:
        """Whether it has come to what only the next signal ends."""
        return self._words[2] == _MIDST

    @property
    def choices(self) -> int:
        """Among how many things :meth:`choose` may choose."""
        return self._words[6]

    @property
    def turns(self) -> tuple[int, int]:
        """What its loop does, as :meth:`choose` counts it, and how often it has."""
        # The program writes the second one first.
        chosen = self._words[4]
        return chosen, self._words[5]

    def stage(self, number: int) -> None:
        self._words[0] = number

    def choose(self, number: int) -> None:
        """What its loop is to do; 0: all by turns."""
        self._words[3] = number

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def said(self) -> list[str]:
        """What it has written to stderr, which outcomes do not have."""
        # The file's position is the program's as well.
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode().splitlines()

    def outcome(self) -> dict[str, object]:
        """Status and output of the ended program: what a user can observe."""
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        return {"status": self._process.poll(), "output": text.splitlines()}
