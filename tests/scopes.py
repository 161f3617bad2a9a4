# SPDX-License-Identifier: GPL-2.0-only
"""Which tests one process runs one after another, by their names in pytest.

Usually those of a file. Most tests of tests/guest share boots of the lab with those of
other files: they are of one of two scopes of about the same length.
"""

from __future__ import annotations

__all__ = ["has_own_boots", "may_boot", "scope", "shared_boots"]

#: Directories and files whose tests may boot the lab.
_LAB = (
    *("tests/guest/", "tests/kernel/", "tests/lab/", "tests/module/"),
    *("tests/cli/test_module.py", "tests/device/test_lockdown.py"),
)

#: Those of tests/guest that do not use the boots of the fixture ``guest``.
_OWN_BOOTS = (
    *("tests/guest/test_bench.py", "tests/guest/test_losing.py"),
    "tests/guest/test_short.py",
)

_SERVICE = "tests/guest/test_service"


def may_boot(nodeid: str) -> bool:
    """Whether the test is where tests may boot the lab."""
    return nodeid.startswith(_LAB)


def has_own_boots(nodeid: str) -> bool:
    """Whether the test is in a file of tests/guest that boots for itself."""
    return nodeid.startswith(_OWN_BOOTS)


def shared_boots(nodeid: str) -> str | None:
    """Which shared boots the test uses, if any: ``programs`` or ``service``."""
    if not nodeid.startswith("tests/guest/") or has_own_boots(nodeid):
        return None
    return "service" if nodeid.startswith(_SERVICE) else "programs"


def scope(nodeid: str) -> str:
    """The name of the tests that one process runs one after another."""
    return shared_boots(nodeid) or nodeid.split("::")[0]
