# SPDX-License-Identifier: GPL-2.0-only
"""Which tests run one after another, and what the end of a run says.

Several processes share the tests (``-n``, pytest-xdist), file by file. The cases of
tests/guest share boots, so one process takes all of them.
"""

from __future__ import annotations

import os
import signal
import textwrap
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.uncovered import uncovered
from ubypass.lab.own import KERNEL_VARIABLE
from ubypass.processor import describe

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


def _may_boot(nodeid: str) -> bool:
    return nodeid.startswith(_LAB)


def _shares_boots(nodeid: str) -> bool:
    return nodeid.startswith("tests/guest/") and not nodeid.startswith(_OWN_BOOTS)


class _Scheduling(LoadScopeScheduling):
    """Gives a process all tests of a file, or all cases that share boots."""

    def _split_scope(self, nodeid: str) -> str:
        return "guest" if _shares_boots(nodeid) else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    """By the names of tests: xdist's own groups get lost in pytest 9."""
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first: the shared boots, the other boots, all the rest.

    Raises UsageError for a test that is not where this file expects it.
    """
    for item in items:
        if item.get_closest_marker("guest") and not _may_boot(item.nodeid):
            raise pytest.UsageError(
                f"{item.nodeid} boots the lab: name it in {__file__}"
            )
        shares = "guest" in getattr(item, "fixturenames", ())
        if shares and item.nodeid.startswith(_OWN_BOOTS):
            raise pytest.UsageError(
                f"{item.nodeid} shares boots: mend _OWN_BOOTS in {__file__}"
            )
    _skip_what_needs_stock(items)
    items.sort(
        key=lambda item: (not _shares_boots(item.nodeid), not _may_boot(item.nodeid))
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
