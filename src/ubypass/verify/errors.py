# SPDX-License-Identifier: GPL-2.0-only
"""Reasons for refusing code: the rules by name, and the exceptions.

Must not depend on how a rule is checked.
"""

from __future__ import annotations

import enum

from ubypass.errors import UbError

__all__ = ["Refusal", "Rule", "VerifyError"]


class Rule(enum.Enum):
    """The rules for generated code (``docs/abi.md``; ``README.md`` here)."""

    ENCODING = "encoding"
    """Bytes decode, without gaps, to instructions of the allow-list."""
    BRANCH = "branch"
    """Branches are direct and land on instruction starts or the exit path. No indirect
    branch of the kernel can end in the code.
    """
    STACK = "stack"
    """rsp changes only in the four exact push/pop pairs and is never read."""
    MEMORY = "memory"
    """A memory operand is an allowed slot, a constant, or a user access."""
    FAULT = "fault"
    """What can fault, and nothing else, has one entry in the fault table."""
    POINTER = "pointer"
    """The address of a user access is proven to be user or guard space."""
    BUDGET = "budget"
    """Every cycle has a dispatch or pays from the budget."""
    PATH = "path"
    """Every path ends in an exit, and metadata is sane."""
    SPECULATION = "speculation"
    """A proof must not rest on a branch or on a value read back from memory."""
    NUMBER = "number"
    """At a dispatch eax holds the number of the call that it makes."""
    LEAK = "leak"
    """What the kernel left in registers and slots is never read."""


class VerifyError(UbError):
    """Code that must not be loaded.

    ``rule`` is the broken rule, ``offset`` the offset in the code (bytes; -1 if there
    is no particular place), ``text`` the instruction there as assembly ("" if there is
    none).
    """

    def __init__(
        self, rule: Rule, reason: str, offset: int = -1, text: str = ""
    ) -> None:
        where = f" at {offset:#x}" if offset >= 0 else ""
        what = f" ({text})" if text else ""
        super().__init__(
            f"generated code refused by rule '{rule.value}'{where}{what}: {reason}",
            hint="the site stays native; please report this, it is a bug",
        )
        self.rule = rule
        self.reason = reason
        self.offset = offset
        self.text = text


class Refusal(Exception):
    """A broken rule at an unknown offset; callers turn it into a VerifyError."""

    def __init__(self, rule: Rule, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason
