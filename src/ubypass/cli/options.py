# SPDX-License-Identifier: GPL-2.0-only
"""Options that several verbs share, and types of arguments; cheap to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ubypass.errors import UsageError
from ubypass.files import must_be_writable

__all__ = [
    "LAB_COMMAND",
    "PROCESS",
    "TRANSLATE_TRUSTED",
    "add_html",
    "add_interval",
    "add_json",
    "add_json_file",
    "add_kernel",
    "add_model",
    "add_suite",
    "add_trust",
    "number",
    "out_file",
    "seconds",
    "whole",
]

#: The variable that holds, in the lab's guest, the command line of ``ub lab run``.
LAB_COMMAND = "UBYPASS_LAB_COMMAND"

#: The forms of an argument that names processes.
PROCESS = "PID, name, path of the program, UNIT.service or cgroup:PATH"

#: The help of ``--trust`` of verbs that only translate.
TRANSLATE_TRUSTED = "translate as for a trusted program: guards without clamps"


def add_json(
    parser: argparse._ActionsContainer, what: str = "print JSON instead of text"
) -> None:
    """Declare ``--json``: output for programs. ``what`` is the help."""
    parser.add_argument("--json", action="store_true", help=what)


def add_json_file(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json FILE``: a file for the records of a measurement."""
    parser.add_argument(
        "--json",
        type=out_file,
        metavar="FILE",
        help="also write the records to FILE, for 'ub bench report'",
    )


def add_html(parser: argparse.ArgumentParser) -> None:
    """Declare ``--html FILE``: a page instead of text."""
    parser.add_argument(
        "--html",
        type=out_file,
        metavar="FILE",
        help="write a page with plots to FILE instead (needs matplotlib)",
    )


def add_trust(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare ``--trust``: guards without clamps; ``what`` is the help."""
    parser.add_argument("--trust", action="store_true", help=what)


def add_interval(
    parser: argparse.ArgumentParser, what: str, *, least: float, default: float
) -> None:
    """Declare ``--interval SECONDS`` between updates; ``what`` is the help."""
    parser.add_argument(
        "--interval",
        type=seconds(least, 3600),
        default=default,
        metavar="SECONDS",
        help=f"{what} (default: %(default)g)",
    )


def add_model(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare ``--model NAME``, a model of a processor; ``what``: its use."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"{what}; NAME is a table of cost/models.toml, such as zen4",
    )


def add_kernel(parser: argparse._ActionsContainer, default: str) -> None:
    """Declare ``--kernel RELEASE``; ``default``: the kernel without the option."""
    parser.add_argument(
        "--kernel",
        metavar="RELEASE",
        help=f"such as 6.1.0-56-amd64 (default: {default})",
    )


def add_suite(parser: argparse._ActionsContainer, more: str) -> None:
    """Declare ``--suite SUITE``, of Debian; ``more``: the rest of the help."""
    parser.add_argument(
        "--suite",
        metavar="SUITE",
        help=f"the newest kernel of trixie, trixie-backports, sid, ...; {more}",
    )


_IDS = "'ps -e' and 'pidof NAME' show process ids"


def number(word: str, what: str = "a process id", hint: str = _IDS) -> int:
    """A process id from the command line, or another number named ``what``.

    Raises ``UsageError``.
    """
    # int() also accepts 1_0 and digits of other scripts.
    digits = word.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 40:
        return int(word)
    raise UsageError(f"{word!r} is not {what}", hint)


def whole(least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """A type for argparse: integers from ``least`` to ``most``."""

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
    """A type for argparse: a file that looks writable at present.

    ``parents``: whether directories may be missing. Raises ``UbError``.
    """
    path = Path(word)
    must_be_writable(path, parents=parents)
    return path
