# SPDX-License-Identifier: GPL-2.0-only
"""Options that ``run`` and ``attach`` have in common; light to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.errors import UsageError
from ubypass.files import must_be_writable

if TYPE_CHECKING:
    from ubypass.device.uapi import Tunable
    from ubypass.engine.regions import Caps

__all__ = [
    "add_options",
    "caps",
    "number",
    "out_file",
    "seconds",
    "tunables",
    "whole",
]

_TUNABLES = (
    "gap_ns, hot_calls, window_ms, budget, miss_events, rearm_ms, sample_bits, "
    "idle_runs, path_steps, grace_ms, share_bits"
)
_CAPS = "regions, code_kib, rounds"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a verb's parser."""
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON, to stderr"
    )
    parser.add_argument(
        "--summary-file",
        type=partial(out_file, parents=False),
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
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="decide by a model of a processor, not by times measured here: NAME is "
        "a table of cost/models.toml (zen4, skylake-pti, ...; emulators: zen4)",
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
    """Parse ``NAME=VALUE`` words; ``UsageError`` for those that make no sense."""
    from ubypass.device.uapi import Tunable

    result = {}
    for word in words:
        name, value = _assignment(word)
        try:
            what = Tunable[name.upper()]
        except KeyError as error:
            raise UsageError(
                f"no tunable is called {name!r}", f"there are {_TUNABLES}"
            ) from error
        result[what] = value
    return result


def caps(words: Sequence[str]) -> Caps:
    """Parse ``NAME=VALUE`` words; ``UsageError`` for those that make no sense."""
    from ubypass.engine.regions import Caps

    result = Caps()
    for word in words:
        name, value = _assignment(word)
        if value < 1:
            raise UsageError(f"a cap of {value} leaves nothing", "use at least 1")
        if name == "regions":
            result = replace(result, regions=value)
        elif name == "code_kib":
            result = replace(result, code_bytes=value << 10)
        elif name == "rounds":
            result = replace(result, rounds=value)
        else:
            raise UsageError(f"no cap is called {name!r}", f"there are {_CAPS}")
    return result


def _assignment(word: str) -> tuple[str, int]:
    name, equals, value = word.partition("=")
    try:
        return name, int(value, 0)
    except ValueError as error:
        raise UsageError(
            f"{value!r} is not a number" if equals else f"{word!r} has no value",
            "write it as NAME=VALUE",
        ) from error


_IDS = "see 'ps -e' or 'pidof NAME' for process ids"


def number(word: str, what: str = "a process id", hint: str = _IDS) -> int:
    """A process id, or what ``what`` says, from the command line."""
    # Not what int() takes as well: 1_0, or digits of other scripts.
    digits = word.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 40:
        return int(word)
    raise UsageError(f"{word!r} is not {what}", hint)


def whole(least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """A type for argparse: whole numbers from ``least`` to ``most``."""

    def parse(word: str) -> int:
        digits = word.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise argparse.ArgumentTypeError(f"{word!r} is not a whole number")
        value = int(word)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        if most is not None and value > most:
            raise argparse.ArgumentTypeError(f"{value} is more than {most}")
        return value

    return parse


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A type for argparse: seconds from ``least`` to ``most``."""

    def parse(word: str) -> float:
        try:
            value = float(word)
        except ValueError as error:
            message = f"{word!r} is not a number of seconds"
            raise argparse.ArgumentTypeError(message) from error
        if not least <= value <= most:
            message = f"{word} is not between {least:g} and {most:g} seconds"
            raise argparse.ArgumentTypeError(message)
        return value

    return parse


def out_file(word: str, *, parents: bool = True) -> Path:
    """A type for argparse: a file that can be written, as far as one can tell now.

    ``parents``: whether directories may be missing. Raises ``UbError``.
    """
    path = Path(word)
    must_be_writable(path, parents=parents)
    return path
