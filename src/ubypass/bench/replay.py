# SPDX-License-Identifier: GPL-2.0-only
"""The time this machine takes for the builds of an engine elsewhere.

``ub attach --record`` records each build; the builds are repeated here in their order,
in a fresh process. Needs no module, no root and no server.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ubypass import child
from ubypass.bench.machine import describe
from ubypass.bench.records import write_json
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild, Reached, Refused
from ubypass.engine.recording import replays
from ubypass.errors import UbError
from ubypass.places import own_environment

__all__ = [
    "Replayed",
    "main",
    "read_replayed",
    "replay",
    "replay_afresh",
    "write_replayed",
]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The builds of one recording ``name``, repeated on the processor ``cpu``.

    ``builds``: their number; ``nothing``: builds without a translation;
    ``instructions``: user instructions in the others; ``seconds``: CPU time of all;
    ``longest``: CPU time of the longest one.
    """

    name: str
    builds: int
    nothing: int
    instructions: int
    seconds: float
    longest: float
    cpu: str


def replay(file: Path) -> Replayed:
    """Repeat the builds in ``file``. Raises UbError for a file without a recording."""
    instructions = nothing = 0
    times: list[float] = []
    for each in replays(file):
        builder = Builder(each.abi)
        if not times:
            builder.warm_up()  # as the engine does before it attaches
        began = time.process_time()
        try:
            instructions += builder(each.profile, each.memory).instructions
        except (NothingToBuild, Reached, Refused):
            nothing += 1
        times.append(time.process_time() - began)
    return Replayed(
        name=file.stem,
        builds=len(times),
        nothing=nothing,
        instructions=instructions,
        seconds=sum(times),
        longest=max(times, default=0.0),
        cpu=describe().cpu,
    )


def replay_afresh(file: Path) -> Replayed:
    """Repeat the builds in a fresh process, as an engine starts. Raises UbError."""
    code = "import sys; from ubypass.bench.replay import main; main(sys.argv[1])"
    done = child.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        env=own_environment(),
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise UbError(f"repeating the builds failed: {done.stderr.strip()}") from error
    if "error" in answer:
        raise UbError(answer["error"], answer["hint"])
    return Replayed(**answer)


def main(file: str) -> None:
    """Replay ``file`` and print the figures as JSON; for :func:`replay_afresh`."""
    try:
        print(json.dumps(asdict(replay(Path(file)))))
    except UbError as error:
        print(json.dumps({"error": error.message, "hint": error.hint}))


def write_replayed(path: Path, found: Sequence[Replayed]) -> None:
    """Write an array of results. Raises UbError."""
    write_json(path, [{"replayed": each.name, **asdict(each)} for each in found])


def read_replayed(data: Sequence[dict[str, Any]]) -> list[Replayed]:
    """Parse the array of :func:`write_replayed`. Raises UbError for other data."""
    try:
        return [
            # Newer versions add keys.
            Replayed(**{f.name: item[f.name] for f in fields(Replayed)})
            for item in data
        ]
    except (TypeError, KeyError) as error:
        raise UbError("this is not a record of 'ub bench replay'") from error
