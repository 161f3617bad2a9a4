# SPDX-License-Identifier: GPL-2.0-only
"""The result of one check of the machine."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Check", "Scope", "State"]


class Scope(enum.Enum):
    """The subject of a check."""

    KERNEL = "this kernel"
    LAB = "lab"


class State(enum.Enum):
    """The severity: only ``FAIL`` keeps the scope from working."""

    OK = "ok"
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: the name of the check, the finding, and advice."""

    scope: Scope
    name: str
    state: State
    found: str
    advice: str = ""
