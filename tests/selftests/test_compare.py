# SPDX-License-Identifier: GPL-2.0-only
from tests.selftests.compare import compare, needs_more


def test_tests_that_agree() -> None:
    run = {"a": "ok", "b": "not ok", "c": "ok SKIP", "exit status": "status 1"}
    result = compare([run, run], [run])
    assert (result.equal, result.passed) == (4, 1)
    assert not result.differing
    assert not result.unstable
    assert not needs_more([run, run], [run])


def test_one_boosted_run_that_differs_is_a_difference() -> None:
    good, bad = {"a": "ok", "b": "ok"}, {"a": "not ok", "b": "ok"}
    result = compare([good, good], [good, bad, good])
    assert result.differing == {
        "a": {"native": {"ok": 2}, "boosted": {"ok": 2, "not ok": 1}}
    }
    assert (result.equal, result.passed) == (1, 1)
    assert needs_more([good], [bad])


def test_a_test_that_is_not_run_boosted_differs() -> None:
    result = compare([{"a": "ok"}], [{}])
    assert result.differing == {"a": {"native": {"ok": 1}, "boosted": {"not run": 1}}}


def test_what_differs_natively_is_unstable_with_both_outcomes() -> None:
    good, bad = {"a": "ok"}, {"a": "not ok"}
    result = compare([good, bad], [good])
    assert result.unstable == {
        "a": {"native": {"ok": 1, "not ok": 1}, "boosted": {"ok": 1}}
    }
    assert not result.differing
    assert result.equal == 0
