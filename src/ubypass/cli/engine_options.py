# SPDX-License-Identifier: GPL-2.0-only
"""Options of ``run`` and ``attach``, which start an engine; cheap to import."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ubypass.cli.options import add_json, add_model, add_trust, out_file
from ubypass.errors import UsageError

if TYPE_CHECKING:
    from ubypass.device.uapi import Tunable
    from ubypass.engine.regions import Caps

__all__ = ["add_engine_options", "caps", "own_engine_option", "tunables"]

_CAPS = "regions, code_kib, rounds"


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a verb's parser."""
    add_json(parser, "print the summary as JSON, to stderr")
    parser.add_argument(
        "--summary-file",
        type=partial(out_file, parents=False),
        metavar="FILE",
        help="also write the summary, as JSON, to FILE",
    )
    parser.add_argument(
        "--children",
        action="store_true",
        help="boost all descendants as well, whatever they run",
    )
    add_trust(
        parser,
        "trust the program with the kernel's memory, as if it were a kernel module: "
        "faster, but not safe against Spectre v1 (docs/security.md); with --children "
        "all descendants as well",
    )
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="append each build and its input to FILE, for 'ub bench replay'",
    )
    add_model(parser, "decide by a model of a processor instead of measured times")
    parser.add_argument("-q", "--quiet", action="store_true", help="print no summary")
    parser.add_argument(
        "--tune",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"set a tunable of the module, for all processes: {_tunable_names()}; "
        "'ub module status' shows their units, ranges and defaults",
    )
    parser.add_argument(
        "--cap",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a limit for each process; NAME is one of {_CAPS}",
    )
    parser.add_argument(
        "--own-engine",
        action="store_true",
        help="do not ask the service, if it runs, to boost: its limits and pauses do "
        "not apply; --cap, --model, --record, --trust and --tune imply it",
    )


def own_engine_option(args: argparse.Namespace) -> str:
    """An option that only an engine of the command itself can obey; "" if none."""
    given = {
        "--cap": args.cap,
        "--model": args.model,
        "--record": args.record,
        "--trust": args.trust,
        "--tune": args.tune,
    }
    return next((option for option, value in given.items() if value), "")


def tunables(words: Sequence[str]) -> dict[Tunable, int]:
    """Parse ``NAME=VALUE`` words; ``UsageError`` for invalid ones."""
    from ubypass.device.uapi import Tunable

    result = {}
    for word in words:
        name, value = _assignment(word)
        try:
            what = Tunable[name.upper()]
        except KeyError as error:
            raise UsageError(
                f"there is no tunable {name!r}", f"choose from {_tunable_names()}"
            ) from error
        result[what] = value
    return result


def caps(words: Sequence[str]) -> Caps:
    """Parse ``NAME=VALUE`` words; ``UsageError`` for invalid ones."""
    from ubypass.engine.regions import Caps

    result = Caps()
    for word in words:
        name, value = _assignment(word)
        if value < 1:
            raise UsageError(f"{word!r}: a limit must be at least 1")
        if name == "regions":
            result = replace(result, regions=value)
        elif name == "code_kib":
            result = replace(result, code_bytes=value << 10)
        elif name == "rounds":
            result = replace(result, rounds=value)
        else:
            raise UsageError(f"there is no limit {name!r}", f"choose from {_CAPS}")
    return result


def _tunable_names() -> str:
    from ubypass.device.uapi import Tunable

    return ", ".join(each.name.lower() for each in Tunable)


def _assignment(word: str) -> tuple[str, int]:
    name, equals, value = word.partition("=")
    try:
        return name, int(value, 0)
    except ValueError as error:
        raise UsageError(
            f"{value!r} is not a number" if equals else f"{word!r} has no value",
            "write NAME=VALUE, with a number as VALUE",
        ) from error
