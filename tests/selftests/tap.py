# SPDX-License-Identifier: GPL-2.0-only
"""The verdicts in the output of a selftest: KTAP, and the older form in brackets.

Each line with a verdict is a test of its own. What differs from run to run in the name
of a test (addresses, times, process numbers) is replaced, so that runs compare; tests
of the same name are numbered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

__all__ = ["BAD", "EXIT", "verdicts"]

#: The name of the test that the program ended well.
EXIT = "exit status"

#: Verdicts of tests that failed.
BAD = ("not ok", "FAIL")

_KTAP = re.compile(
    r"(?P<verdict>ok|not ok)\s+\d+(?:\s+-)?\s*(?P<name>.*?)"
    r"(?:\s*#\s*(?P<directive>SKIP|XFAIL|XPASS|TODO)\b.*)?$"
)
# Nested lines of a harness are comments ("# ok 1 ...", "#   OK  name").
_BRACKETS = re.compile(r"\s*\[(?P<verdict>OK|FAIL|SKIP|PASS|XFAIL)\]\s*(?P<name>.*)$")
_VARIES = (
    (re.compile(r"0x[0-9a-fA-F]+"), "0x#"),
    (re.compile(r"\b[0-9a-fA-F]{8,}\b"), "#"),
    (re.compile(r"\b\d{3,}\b"), "#"),
    (re.compile(r"-?\d+\.\d+"), "#"),
)


def verdicts(output: Iterable[str], status: int | None) -> dict[str, str]:
    """Verdicts by test, in order; the last test is `EXIT`.

    ``status``: of the program, negative if a signal has ended it, None if it was ended
    because it did not end in time.
    """
    found: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for line in output:
        match = _KTAP.match(line) or _BRACKETS.match(line)
        if match is None:
            continue
        name = _stable(match["name"])
        seen[name] += 1
        again = f" #{seen[name]}" if seen[name] > 1 else ""
        directive = match.groupdict().get("directive")
        found[name + again] = (
            match["verdict"] if directive is None else f"{match['verdict']} {directive}"
        )
    found[EXIT] = _ended(status)
    return found


def _stable(name: str) -> str:
    for what, instead in _VARIES:
        name = what.sub(instead, name)
    return name.strip()


def _ended(status: int | None) -> str:
    if status is None:
        return "timeout"
    return f"signal {-status}" if status < 0 else f"status {status}"
