# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import browser, uncovered
from tests.fuzz import forms
from ubypass.errors import UbError


def _without(*names: str) -> Callable[[], frozenset[str]]:
    present = forms.features() - set(names)
    return lambda: present


def test_what_a_processor_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = _without("avx512f", "bmi2")
    monkeypatch.setattr(forms, "features", fewer)
    monkeypatch.setattr(uncovered, "features", fewer)
    text = "\n".join(uncovered.uncovered())
    assert "avx512f (" in text
    assert "bmi2 (" in text
    assert " sse4_1 (" not in text


def test_x87_addresses_that_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncovered, "keeps_x87_pointers", lambda: False)
    assert "FIP" in "\n".join(uncovered.uncovered())
    monkeypatch.setattr(uncovered, "keeps_x87_pointers", lambda: True)
    assert "FIP" not in "\n".join(uncovered.uncovered())


def test_pages_that_no_browser_has_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "found", lambda: None)
    assert "make test installs" in "\n".join(uncovered.uncovered())
    monkeypatch.setattr(browser, "found", lambda: "/usr/bin/chromium")
    assert "HTML" not in "\n".join(uncovered.uncovered())


def test_no_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise UbError("no XSAVE")

    monkeypatch.setattr(uncovered, "keeps_x87_pointers", fail)
    assert "nothing was executed: no XSAVE" in uncovered.uncovered()
