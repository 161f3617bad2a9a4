# SPDX-License-Identifier: GPL-2.0-only
"""Whatever these tests translate: states are checked on the way."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.translate.checked import checking, compiled


@pytest.fixture(autouse=True)
def _checked_states(monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled():
        checking(monkeypatch.setattr, Counter())
