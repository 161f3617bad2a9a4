# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.places import ROOT
from tests.scopes import has_own_boots, may_boot, scope, shared_boots


def test_files_are_scopes_but_for_shared_boots() -> None:
    assert scope("tests/abi/test_a.py::test_b[c::d]") == "tests/abi/test_a.py"
    assert scope("tests/guest/test_losing.py::test_b") == "tests/guest/test_losing.py"
    assert scope("tests/guest/test_boosted.py::test_b") == "programs"
    assert scope("tests/guest/foreign/test_play.py::test_b") == "programs"
    assert scope("tests/guest/test_service.py::test_b[c]") == "service"


def test_who_boots() -> None:
    assert may_boot("tests/guest/test_service.py::test_b")
    assert may_boot("tests/lab/test_run.py::test_b")
    assert not may_boot("tests/service/test_rules.py::test_b")
    assert has_own_boots("tests/guest/test_losing.py::test_b")
    assert not has_own_boots("tests/guest/test_service.py::test_b")
    assert shared_boots("tests/lab/test_run.py::test_b") is None


def test_what_is_named_is_there() -> None:
    for directory in "guest", "kernel", "lab", "module":
        assert list((ROOT / "tests" / directory).glob("test_*.py"))
    for name in "cli/test_module", "device/test_lockdown", "guest/test_service":
        assert (ROOT / "tests" / f"{name}.py").is_file()
    for name in "bench", "losing", "short":
        text = (ROOT / "tests" / "guest" / f"test_{name}.py").read_text()
        assert "guest: Guest" not in text
