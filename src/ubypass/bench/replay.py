# SPDX-License-Identifier: GPL-2.0-only
"""How long this machine translates for what an engine elsewhere has built.

``ub attach --record`` writes down each build; here they are done again, in their order
and in a fresh process. Needs no module, no root and no server.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ubypass import child
from ubypass.bench.machine import describe
from ubypass.bench.records import write_json
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild, Refused
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
    """The builds of one recording: ``name`` of it, how many ``builds``, of which some
    came to ``nothing``, user ``instructions`` in the others, and ``seconds`` of CPU
    time for all; ``longest`` of them. ``cpu`` is the processor's name.
    """

    name: str
    builds: int
    nothing: int
    instructions: int
    seconds: float
    longest: float
    cpu: str


def replay(file: Path) -> Replayed:
    """Do the builds in ``file`` again. Raises UbError if it holds something else."""
    instructions = nothing = 0
    times: list[float] = []
    for each in replays(file):
        builder = Builder(each.abi)
        if not times:
            builder.warm_up()  # as the engine does before it attaches
        began = time.process_time()
        try:
            instructions += builder(each.knowledge, each.memory).instructions
        except (NothingToBuild, Refused):
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
    """The same in a process of its own, as fresh as the engine was. Raises UbError."""
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
        raise UbError(f"building anew has failed: {done.stderr.strip()}") from error
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
    """Write an array of them. Raises UbError."""
    write_json(path, [{"replayed": each.name, **asdict(each)} for each in found])


def read_replayed(data: Sequence[dict[str, Any]]) -> list[Replayed]:
    """What :func:`write_replayed` wrote, as parsed. Raises UbError if it is not."""
    try:
        return [
            Replayed(**{k: v for k, v in item.items() if k != "replayed"})
            for item in data
        ]
    except TypeError as error:
        raise UbError("that is no record of 'ub bench replay'") from error
