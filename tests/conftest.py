# SPDX-License-Identifier: GPL-2.0-only
"""Which tests run one after another, and what the end of a run says.

Several processes share the tests (``-n``, pytest-xdist), scope by scope
(`tests.scopes`).
"""

from __future__ import annotations

import os
import signal
import textwrap
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.scopes import has_own_boots, may_boot, scope, shared_boots
from tests.uncovered import uncovered
from ubypass.lab.own import KERNEL_VARIABLE
from ubypass.processor import describe


def pytest_configure() -> None:
    """Programs of the tests are to end by the signals that tests send them.

    A suite in the background of a shell, or behind nohup, is started with these
    ignored, and all programs that it starts inherit that.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = number == signal.SIGINT
            signal.signal(
                number, signal.default_int_handler if usual else signal.SIG_DFL
            )


class _Scheduling(LoadScopeScheduling):
    """Gives a process all tests of a scope."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    """By the names of tests: xdist's own groups get lost in pytest 9."""
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first: the shared boots, the other boots, all the rest.

    Raises UsageError for a test that is not where this file expects it.
    """
    for item in items:
        if item.get_closest_marker("guest") and not may_boot(item.nodeid):
            raise pytest.UsageError(
                f"{item.nodeid} boots the lab: name it in tests/scopes.py"
            )
        shares = "guest" in getattr(item, "fixturenames", ())
        if shares and has_own_boots(item.nodeid):
            raise pytest.UsageError(
                f"{item.nodeid} shares boots: mend _OWN_BOOTS in tests/scopes.py"
            )
    _skip_what_needs_stock(items)
    items.sort(
        key=lambda item: (not shared_boots(item.nodeid), not may_boot(item.nodeid))
    )


def _skip_what_needs_stock(items: list[pytest.Item]) -> None:
    """On a kernel that was built here some tests would measure its checks."""
    if not os.environ.get(KERNEL_VARIABLE):
        return
    for item in items:
        for mark in item.iter_markers("stock"):
            reason = f"needs a kernel as Debian builds it: {mark.args[0]}"
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the processor, and what of the suite needs another machine."""
    terminalreporter.section("processor")
    terminalreporter.line(describe())
    for line in uncovered() or ["everything that is allowed was executed on it"]:
        for part in textwrap.wrap(line, 79, subsequent_indent="  "):
            terminalreporter.line(part)
