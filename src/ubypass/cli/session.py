# SPDX-License-Identifier: GPL-2.0-only
"""What ``run`` and ``attach`` share: an engine that is ready, and its report.

A :class:`Session` has imported everything and opened the device before a program
is touched, so that nothing slow stands between its start and its first boost.
"""

from __future__ import annotations

import contextlib
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ubypass import processor
from ubypass.cost.model import model_of
from ubypass.device.client import Device
from ubypass.device.types import is_lasting
from ubypass.device.uapi import Tunable
from ubypass.engine.answers import answer_explain, answer_stats
from ubypass.engine.build import Builder
from ubypass.engine.clock import longest_ns, slowness
from ubypass.engine.control import Control, Handler
from ubypass.engine.declines import REASONS
from ubypass.engine.engine import Engine
from ubypass.engine.forecast import Forecast
from ubypass.engine.peak import peak_bytes
from ubypass.engine.recording import Recorder
from ubypass.engine.regions import Caps
from ubypass.engine.summary import Summary
from ubypass.engine.target import Policy
from ubypass.engine.trial import Trying
from ubypass.errors import UbError
from ubypass.files import write_text
from ubypass.process.namespace import require_own_proc

__all__ = ["Session"]

# Seconds of CPU time; less is the time that attaching takes.
_SHOWN = 0.005


class Session:
    """An engine with its device and control socket; a context manager.

    Raises ``UbError`` when the module is missing or root is needed.
    """

    def __init__(
        self,
        tune: Mapping[Tunable, int],
        *,
        caps: Caps | None = None,
        quiet: bool = False,
        record: str | None = None,
        model: str | None = None,
        log: Callable[[str], None] | None = None,
        handlers: Mapping[str, Handler] | None = None,
    ) -> None:
        """``model``: decide by that one of ``models.toml``, not by measured times.

        ``log``: takes lines instead of the terminal. ``handlers``: of more questions on
        the control socket, without which the session then does not begin.
        """
        self._quiet = quiet
        self._say = log
        self._began = time.monotonic()
        require_own_proc()
        self.device = Device()
        self.engine: Engine | None = None
        self._control: Control | None = None
        self._summaries: tuple[Summary, ...] = ()
        try:
            here = model_of()
            longest = longest_ns(here)
            _tune(self.device, tune, longest)
            abi = self.device.info()
            builder = Builder(abi)
            builder.warm_up()
            self.engine = Engine(
                self.device,
                build=Recorder(builder, abi, Path(record)) if record else builder,
                policy=Policy(
                    caps=caps or Caps(),
                    forecast=Forecast(
                        here if model is None else model_of(model),
                        is_final=model is not None or processor.is_emulated(),
                    ),
                    trying=Trying().slower(slowness(here, longest)),
                ),
                log=self.log,
            )
            self._control = self._listen(self.engine, handlers)
        except BaseException:
            self.close()
            raise
        # What is loaded now stays: do not look at it in every collection.
        gc.collect()
        gc.freeze()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def log(self, line: str) -> None:
        """Say something to the person at the terminal, who may have left."""
        if self._say is not None:
            self._say(line)
        elif not self._quiet:
            with contextlib.suppress(OSError):
                print(f"ub: {line}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Detach everything; programs go on natively."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.engine is not None:
            self.engine.close()
            self._summaries = self.engine.summaries()
            self.engine = None
        self.device.close()

    def report(
        self, *, as_json: bool, file: str | None, extra: Mapping[str, Any]
    ) -> None:
        """Print the summary to stderr and, as JSON, to ``file`` if given."""
        data = {
            **extra,
            "engine_peak_bytes": peak_bytes(),
            "processes": [summary.as_json() for summary in self._summaries],
        }
        if file is not None:
            # First: the terminal may be gone.
            write_text(Path(file), json.dumps(data, indent=1) + "\n")
        if as_json:
            print(json.dumps(data), file=sys.stderr)
        elif not self._quiet:
            if not self._summaries:
                self.log("the program ended before it was attached")
            for summary in self._summaries:
                print(_text(summary, data["engine_peak_bytes"]), file=sys.stderr)

    def _listen(
        self, engine: Engine, more: Mapping[str, Handler] | None
    ) -> Control | None:
        try:
            return Control(
                engine,
                {
                    "stats": partial(answer_stats, engine),
                    "explain": partial(answer_explain, engine),
                    **(more or {}),
                },
            )
        except UbError as error:
            if more:
                raise
            self.log(f"'ub stats' will not see this: {error.message}")
            return None


def _tune(device: Device, tune: Mapping[Tunable, int], gap: int) -> None:
    # The module's own default of the gap suits a machine that it does not know.
    wanted = {Tunable.GAP_NS: gap, **tune}
    for what, value in wanted.items():
        device.tune(what, value)


def _calls(summary: Summary) -> str:
    """How many there were, as far as they were counted."""
    first = summary.uncounted_seconds
    if first < _SHOWN:
        return f"{summary.calls:,}"
    ended = "" if summary.calls else ", in which it ended"
    return (
        f"{summary.calls:,}, without those of its first {first:.2f} s of CPU time"
        f"{ended} (--tune=grace_ms=0 counts all)"
    )


def _text(summary: Summary, peak: int) -> str:
    stats = summary.stats
    first = summary.first_boost_seconds
    exits = sorted(
        ((n, reason.name.lower()) for reason, n in stats.exits.items() if n),
        reverse=True,
    )
    rows = [
        ("system calls", _calls(summary)),
        ("dispatched", f"{stats.dispatched:,}  ({summary.bypass_rate:.2%})"),
        ("runs", f"{stats.runs:,}  ({stats.declined:,} declined)"),
        *(
            ("declined", f"{stats.declines[reason]:,}: {REASONS[reason]}")
            for reason in stats.declines
            if stats.declines[reason] and is_lasting(reason)
        ),
        *(
            [
                (
                    "filtered",
                    f"{stats.filtered:,}: a seccomp filter objects, or is to act",
                )
            ]
            if stats.filtered
            else []
        ),
        ("exits", ", ".join(f"{name} {n:,}" for n, name in exits) or "none"),
        (
            "regions",
            f"{summary.regions}: {summary.entries} entries, "
            f"{summary.region_instructions:,} instructions, "
            f"{summary.source_bytes:,} -> {summary.code_bytes:,} bytes"
            if summary.code_bytes
            else "none",
        ),
        ("loads", f"{summary.loads}  ({summary.build_seconds:.2f} s of building)"),
        ("first boost", "never" if first is None else f"after {first:.2f} s"),
        ("engine", f"{peak / 2**20:.0f} MiB at most"),
        *(("note", note) for note in summary.notes),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"ub: process {summary.pid} ({summary.name})"]
    lines += [f"    {name:<{width}}  {value}" for name, value in rows]
    return "\n".join(lines)
