# SPDX-License-Identifier: GPL-2.0-only
"""The result of one look at the machine."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Check", "Scope", "State"]


class Scope(enum.Enum):
    """What a check is about."""

    KERNEL = "this kernel"
    LAB = "lab"


class State(enum.Enum):
    """How bad it is: only ``FAIL`` keeps its scope from working."""

    OK = "ok"
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, what was found, what to do about it."""

    scope: Scope
    name: str
    state: State
    found: str
    advice: str = ""
