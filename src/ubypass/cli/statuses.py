# SPDX-License-Identifier: GPL-2.0-only
"""All exit statuses of ``ub``, from which its help and manual pages are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["STATUSES", "Status", "summary"]


@dataclass(frozen=True, slots=True)
class Status:
    """``code``: a number, or words for several. ``verb``: "" if any verb may have it.

    ``meaning``: without a full stop and semicolons, for lists.
    """

    code: str
    meaning: str
    verb: str = ""


STATUSES: Final[Sequence[Status]] = (
    Status("0", "success (of a verb that checks something: all is well)"),
    Status("1", "an error, with its reason and a remedy on stderr, or a failed check"),
    Status("2", "wrong usage"),
    Status("3", "no service runs", "service"),
    Status(
        "69",
        "the service cannot start: the module is missing or denies access, or a "
        "service runs already",
        "service",
    ),
    Status(
        "70",
        "an internal error, which should be reported (of the lab: also a warning of "
        "its kernel)",
    ),
    Status("78", "the configuration of the service is wrong", "service"),
    Status("124", "the time limit of the lab is over", "lab"),
    Status("128 + N", "ended by signal N, for example 130 by Ctrl-C"),
    Status("141", "the reader of the output has closed it"),
    Status(
        "others",
        "of a verb that runs a command: the status of the command, 126 or 127 if it "
        "cannot be started",
    ),
)


def summary() -> str:
    """All of them in a sentence."""
    rows = "; ".join(f"{each.code}: {each.meaning}" for each in STATUSES)
    return f"Exit statuses: {rows}."
