# SPDX-License-Identifier: GPL-2.0-only
"""Two machines that share a store, played one after the other in one guest.

Each has an engine of its own; the program is started anew, so that its files are mapped
elsewhere.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.guest.boost import Booster, booster
from tests.guest.cases import DATA_FILE
from tests.guest.program import END, Program
from tests.guest.waiting import wait
from ubypass.abi import Abi
from ubypass.store.directory import Directory
from ubypass.store.publisher import Publisher
from ubypass.store.shared import SharedTranslations
from ubypass.store.signing import Signer, generate, load_signer

__all__ = ["CASES"]


class _Machine:
    """Opens the store for the module of this machine."""

    def __init__(self, store: Path, signer: Signer) -> None:
        self._store = Directory(store)
        self._signer = signer
        self.publisher: Publisher | None = None
        self.lines: list[str] = []

    def open(self, abi: Abi) -> SharedTranslations:
        self.publisher = Publisher(abi, self._store, self._signer)
        return SharedTranslations(
            abi, self._store, self._signer.public, self.publisher, log=self.lines.append
        )

    def play(self, name: str) -> dict[str, Any]:
        """Boost a new process of the program until most of its calls are dispatched."""
        with (
            booster(self.open) as boost,
            Program(name, DATA_FILE) as program,
        ):
            target = boost.attach(program.pid)
            boost.wait_boosted(target, 40_000)
            places = sorted(
                {
                    source.start >> 12
                    for group in target.groups
                    if group.loaded is not None
                    for source in group.loaded.sources
                }
            )
            outcome = _end(program, boost)
            boost.detach_all()
            summary = boost.summaries()[-1]
        assert self.publisher is not None
        while self.publisher.publish_due():
            pass
        return {
            "places": places,
            "outcome": outcome,
            "loads": summary["loads"],
            "build_seconds": summary["build_seconds"],
            "lines": self.lines,
            **self.publisher.figures.as_json(),
        }


def _shared(name: str) -> dict[str, Any]:
    with Program(name, DATA_FILE) as program:
        wait(lambda: program.is_warm)
        native = _end(program, None)
    with tempfile.TemporaryDirectory() as folder:
        key, store = Path(folder) / "key", Path(folder) / "store"
        key.touch(mode=0o600)
        key.write_text(generate()[0])
        store.mkdir(mode=0o755)
        signer = load_signer(key)
        machines = [_Machine(store, signer).play(name) for _ in range(3)]
    return {"native": native, "machines": machines}


def _end(program: Program, boost: Booster | None) -> dict[str, object]:
    program.stage(END)
    (boost.wait if boost else wait)(lambda: program.ended)
    return program.outcome()


CASES = {f"sharing-{name}": partial(_shared, name) for name in ("onesite", "biased")}
