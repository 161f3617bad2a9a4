# SPDX-License-Identifier: GPL-2.0-only
"""Options that ``run`` and ``attach`` have in common; light to import."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ubypass.errors import UbError

if TYPE_CHECKING:
    from ubypass.device.uapi import Tunable
    from ubypass.engine.regions import Caps

__all__ = ["add_options", "caps", "number", "tunables"]

_TUNABLES = (
    "gap_ns, hot_calls, window_ms, budget, miss_events, rearm_ms, sample_bits, "
    "idle_runs, path_steps"
)
_CAPS = "regions, code_kib, rounds"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a verb's parser."""
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON, to stderr"
    )
    parser.add_argument(
        "--summary-file",
        metavar="FILE",
        help="also write the summary, as JSON, to FILE",
    )
    parser.add_argument(
        "--children",
        action="store_true",
        help="boost child processes as well, and theirs, whatever they run",
    )
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="append what is built, and from what, to FILE for 'ub bench replay'",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print no summary")
    parser.add_argument(
        "--tune",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"set a tunable of the module, for everybody: {_TUNABLES}",
    )
    parser.add_argument(
        "--cap",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"bound what each process may have of: {_CAPS}",
    )


def tunables(words: Sequence[str]) -> dict[Tunable, int]:
    """Parse ``NAME=VALUE`` words; ``UbError`` for those that make no sense."""
    from ubypass.device.uapi import Tunable

    result = {}
    for word in words:
        name, value = _assignment(word)
        try:
            what = Tunable[name.upper()]
        except KeyError as error:
            raise UbError(
                f"no tunable is called {name!r}", f"there are {_TUNABLES}"
            ) from error
        result[what] = value
    return result


def caps(words: Sequence[str]) -> Caps:
    """Parse ``NAME=VALUE`` words; ``UbError`` for those that make no sense."""
    from ubypass.engine.regions import Caps

    result = Caps()
    for word in words:
        name, value = _assignment(word)
        if value < 1:
            raise UbError(f"a cap of {value} leaves nothing", "use at least 1")
        if name == "regions":
            result = replace(result, regions=value)
        elif name == "code_kib":
            result = replace(result, code_bytes=value << 10)
        elif name == "rounds":
            result = replace(result, rounds=value)
        else:
            raise UbError(f"no cap is called {name!r}", f"there are {_CAPS}")
    return result


def _assignment(word: str) -> tuple[str, int]:
    name, equals, value = word.partition("=")
    try:
        return name, int(value, 0)
    except ValueError as error:
        raise UbError(
            f"{value!r} is not a number" if equals else f"{word!r} has no value",
            "write it as NAME=VALUE",
        ) from error


def number(word: str) -> int:
    """A process id, or the number of a region, from the command line."""
    try:
        return int(word, 10)
    except ValueError as error:
        raise UbError(
            f"{word!r} is not a process id", "see 'ps -e' or 'pidof NAME' for ids"
        ) from error
