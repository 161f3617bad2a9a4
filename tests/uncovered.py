# SPDX-License-Identifier: GPL-2.0-only
"""What tests cannot cover on this machine: its processor, and what is installed."""

from __future__ import annotations

from collections import Counter

from iced_x86 import Code

from tests import browser
from tests.fuzz.forms import absent
from ubypass.errors import UbError
from ubypass.native.runner import keeps_x87_pointers
from ubypass.processor import features
from ubypass.translate.features import needs


def uncovered() -> list[str]:
    """A sentence for each kind of thing; empty if nothing is left out."""
    found = []
    lacking: Counter[str] = Counter()
    for name in absent():
        lacking.update(needs(getattr(Code, name)) - features())
    if lacking:
        names = ", ".join(
            f"{name} ({count})" for name, count in sorted(lacking.items())
        )
        found.append(
            f"not executed, {len(absent())} allowed forms of instructions, since this "
            f"processor lacks: {names}"
        )
    try:
        if not keeps_x87_pointers():
            found.append(
                "not compared: FIP, FDP and FOP of x87 instructions, which this "
                "processor keeps only while an exception is pending"
            )
    except UbError as error:
        found.append(f"nothing was executed: {error.message}")
    if browser.found() is None:
        found.append(
            "not opened: HTML pages, since there is no browser here; make test "
            f"installs {browser.PACKAGE}"
        )
    return found
