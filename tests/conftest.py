# SPDX-License-Identifier: GPL-2.0-only
"""Says at the end which processor the tests ran on and what they could not cover."""

from __future__ import annotations

import textwrap

import pytest

from tests.uncovered import uncovered
from ubypass.processor import describe


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the processor, and what of the suite needs another one."""
    terminalreporter.section("processor")
    terminalreporter.line(describe())
    for line in uncovered() or ["everything that is allowed was executed on it"]:
        for part in textwrap.wrap(line, 79, subsequent_indent="  "):
            terminalreporter.line(part)
