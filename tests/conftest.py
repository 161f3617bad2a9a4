# SPDX-License-Identifier: GPL-2.0-only
"""Which tests run one after another, and what the end of a run says.

Several processes share the tests (``-n``, pytest-xdist). Those that boot the lab or
build for it stay together in one: they share boots, caches and build directories.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.uncovered import uncovered
from ubypass.processor import describe

_LAB = frozenset({"guest", "kernel", "lab", "module"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test that must not run beside others of it."""
    for item in items:
        inside = item.path.relative_to(Path(__file__).parent)
        if inside.parts[0] in _LAB or item.get_closest_marker("guest"):
            item.add_marker(pytest.mark.xdist_group("lab"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the processor, and what of the suite needs another one."""
    terminalreporter.section("processor")
    terminalreporter.line(describe())
    for line in uncovered() or ["everything that is allowed was executed on it"]:
        for part in textwrap.wrap(line, 79, subsequent_indent="  "):
            terminalreporter.line(part)
