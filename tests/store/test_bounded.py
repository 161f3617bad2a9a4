# SPDX-License-Identifier: GPL-2.0-only
"""Calls that hang are left alone."""

from __future__ import annotations

import threading
import time

import pytest

from ubypass.store.bounded import Bounded, TooSlow


def test_results_and_exceptions_pass() -> None:
    call = Bounded()
    assert call(lambda: 42, 600) == 42
    with pytest.raises(ZeroDivisionError):
        call(lambda: 1 // 0, 600)
    assert call(lambda: 43, 600) == 43


def test_a_call_that_hangs_is_left_alone_and_keeps_others_out() -> None:
    call, go = Bounded(), threading.Event()
    with pytest.raises(TooSlow):
        call(go.wait, 0.01)
    with pytest.raises(TooSlow):
        call(lambda: 1, 600)  # at once
    go.set()

    def works() -> bool:
        try:
            return call(lambda: True, 600)
        except TooSlow:
            return False

    while not works():
        time.sleep(0.001)
