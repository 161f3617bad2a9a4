# SPDX-License-Identifier: GPL-2.0-only
"""Redis' own tests in the guest, natively and with every server boosted.

    python -m tests.guest.redissuite RESULT [UNIT]...

A line is printed for each unit, natively and boosted, and one now and then meanwhile;
RESULT (JSON) is written anew after each of them. Ends with 1 if a test that passes
natively fails boosted, or servers were not boosted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.guest.newcomers import Newcomers
from tests.guest.redisunit import Outcome, Suite, suite
from tests.guest.stubborn import Engines, engines
from tests.guest.trained import train

__all__ = ["SHORT", "UNITS", "main", "part", "regressions", "run_units"]

#: What takes seconds, and is long enough to be boosted in.
SHORT = ("unit/protocol",)

#: The shorter ones first.
UNITS = (
    *SHORT,
    "unit/type/incr",
    "unit/expire",
    *(f"unit/type/{name}" for name in ("string", "stream-cgroups")),
    "integration/aof",
    *(f"unit/type/{name}" for name in ("list-2", "set", "hash", "zset")),
    *(f"unit/type/{name}" for name in ("list", "stream", "list-3")),
)

#: Seconds between two lines about a unit that takes long.
_SAY = 30.0
_NAP = 0.2
_BRIEFLY = 30.0


def main(arguments: list[str]) -> int:
    result, *units = arguments
    record: dict[str, Any] = {}
    with suite() as tests, engines() as boosting:
        for unit, ran in run_units(tests, boosting, units or UNITS, _say):
            record[unit] = ran
            Path(result).write_text(json.dumps(record, indent=1) + "\n")
    bad = {unit: wrong for unit, ran in record.items() if (wrong := regressions(ran))}
    for unit, wrong in bad.items():
        _say(f"{unit}: {'; '.join(wrong)}")
    dispatched = sum(ran["boosted"]["dispatched"] for ran in record.values())
    if not dispatched:
        _say("nothing was dispatched")
    return 1 if bad or not dispatched else 0


def part() -> dict[str, Any]:
    """The records of the short units, by unit."""
    with suite() as tests, engines() as boosting:
        return dict(run_units(tests, boosting, SHORT, limit=_BRIEFLY))


def run_units(
    tests: Suite,
    boosting: Engines,
    units: Sequence[str],
    say: Callable[[str], None] = lambda line: None,
    limit: float = 60.0,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each unit and its record: ``native`` and ``boosted``.

    Before that a server is boosted for ``limit`` seconds.
    """
    with boosting.engine() as engine:
        say("boosting a server, so that those to come can be boosted at once")
        profile = train(engine, limit)
    boosting.build.settle()
    for number, unit in enumerate(units, 1):
        name = f"[{number}/{len(units)}] {unit}"
        progress = _Progress(tests, say, f"{name} natively")
        native = _record(tests.run(unit, lambda p=progress: p.nap()))  # type: ignore[misc]
        say(f"{name} natively: {_line(native)}")
        progress = _Progress(tests, say, f"{name} boosted")
        with boosting.engine() as engine:
            servers = Newcomers(engine, tests.started, "redis", profile)

            def meanwhile(
                servers: Newcomers = servers, progress: _Progress = progress
            ) -> None:
                servers.step()
                progress.look()

            boosted = _record(tests.run(unit, meanwhile)) | servers.figures()
        say(f"{name} boosted: {_line(boosted)}")
        yield unit, {"native": native, "boosted": boosted}


def regressions(ran: dict[str, Any]) -> list[str]:
    """What is wrong with a unit boosted that is not wrong natively, for people."""
    native, boosted = ran["native"]["verdicts"], ran["boosted"]["verdicts"]
    wrong = [
        f"{test}: natively {verdict}, boosted {boosted.get(test, 'not run')}"
        for test, verdict in native.items()
        if verdict == "ok" and boosted.get(test) != "ok"
    ]
    if ran["native"]["passed"] and not ran["boosted"]["passed"] and not wrong:
        wrong.append(f"ended with status {ran['boosted']['status']}")
    if not any(verdict == "ok" for verdict in boosted.values()):
        wrong.append("no test was run")
    # The shortest units are over before much is dispatched.
    if not ran["boosted"]["runs"]:
        wrong.append("no translation was run")
    return wrong + ran["boosted"]["failed_to_attach"]


class _Progress:
    """Says now and then where a unit is."""

    def __init__(self, tests: Suite, say: Callable[[str], None], name: str) -> None:
        self._tests = tests
        self._say = say
        self._name = name
        self._next = time.monotonic() + _SAY

    def look(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SAY
            self._say(f"{self._name}, after: {self._tests.latest()}")

    def nap(self) -> None:
        time.sleep(_NAP)
        self.look()


def _record(outcome: Outcome) -> dict[str, Any]:
    return {
        "passed": outcome.passed,
        "status": outcome.status,
        "seconds": outcome.seconds,
        "ok": outcome.ok,
        "failed": outcome.failed,
        "why": outcome.why,
        "verdicts": outcome.verdicts,
    }


def _line(record: dict[str, Any]) -> str:
    verdict = "passes" if record["passed"] else "FAILS"
    words = [f"{verdict}, {record['ok']} tests ok in {record['seconds']} s"]
    words += [f"failed: {test}" for test in record["failed"]]
    if "dispatched" in record:
        words.append(
            f"{record['boosted']} of {record['processes']} processes boosted, "
            f"{record['dispatched']} of {record['calls']} calls dispatched "
            f"in {record['runs']} runs"
        )
    return "; ".join(words)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
