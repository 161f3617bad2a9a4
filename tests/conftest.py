# SPDX-License-Identifier: GPL-2.0-only
"""Which tests run one after another, and what the end of a run says.

Several processes share the tests (``-n``, pytest-xdist). Those that boot the lab or
build for it stay together in one: they share boots, caches and build directories.
"""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.uncovered import uncovered
from ubypass.processor import describe

_LAB = frozenset({"guest", "kernel", "lab", "module"})


def _needs_lab(nodeid: str) -> bool:
    return any(nodeid.startswith(f"tests/{name}/") for name in _LAB)


class _Scheduling(LoadScopeScheduling):
    """Gives a process all of the lab's tests, or all tests of a file."""

    def _split_scope(self, nodeid: str) -> str:
        return "lab" if _needs_lab(nodeid) else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    """By the names of tests: xdist's own groups get lost in pytest 9."""
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lab's tests first: they take longest, and one process takes them all."""
    items.sort(key=lambda item: not _needs_lab(item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the processor, and what of the suite needs another one."""
    terminalreporter.section("processor")
    terminalreporter.line(describe())
    for line in uncovered() or ["everything that is allowed was executed on it"]:
        for part in textwrap.wrap(line, 79, subsequent_indent="  "):
            terminalreporter.line(part)
