# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.service.lines import find_lines

_TEXT = """\
version = 1
# [service]
[limits]
cpu_percent = 5   # [x]
"memory_mib" = 6
[[rule]]
name = "a"
exe = [
    "/a",
]
[[ rule ]]
note = \"\"\"
name = "no"
[no]
\"\"\"
name = "b"
"""


def test_keys_and_tables_are_found() -> None:
    assert find_lines(_TEXT) == {
        ("", 0, "version"): 1,
        ("limits", 0, ""): 3,
        ("limits", 0, "cpu_percent"): 4,
        ("limits", 0, "memory_mib"): 5,
        ("rule", 0, ""): 6,
        ("rule", 0, "name"): 7,
        ("rule", 0, "exe"): 8,
        ("rule", 1, ""): 11,
        ("rule", 1, "note"): 12,
        ("rule", 1, "name"): 16,
    }


def test_nothing_in_nothing() -> None:
    assert find_lines("") == {}
