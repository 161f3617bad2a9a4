# SPDX-License-Identifier: GPL-2.0-only
"""Every case of pass.s is accepted, every case of fail.s refused by its rule."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from tests.verify import cases
from ubypass.abi import Abi
from ubypass.verify import check as check_module
from ubypass.verify.allowlist import every_feature
from ubypass.verify.check import check, processor_features
from ubypass.verify.errors import Rule, VerifyError

_PASS, _FAIL = cases.read("pass.s"), cases.read("fail.s")
_EVERY = every_feature()


_ABI = Abi()
_TRUSTED = Abi(trusted=True)
# What a trusted program is allowed, and no other one.
_LIFTED = {"branch_instead_of_clamp"}


def _abi(case: cases.Case) -> Abi:
    return _TRUSTED if case.trusted else _ABI


def _features(case: cases.Case) -> frozenset[str]:
    chosen = case.one("features")
    return frozenset(chosen.split()) if chosen else _EVERY


@pytest.mark.parametrize("case", _PASS, ids=lambda case: case.name)
def test_pass(case: cases.Case) -> None:
    report = check(cases.translate(case), _abi(case), _features(case))
    assert report.instructions > 0
    assert report.blocks > 0


@pytest.mark.parametrize("case", _FAIL, ids=lambda case: case.name)
def test_fail(case: cases.Case) -> None:
    with pytest.raises(VerifyError) as caught:
        check(cases.translate(case), _abi(case), _features(case))
    assert caught.value.rule.value == case.one("rule"), caught.value.message


def test_guards_without_clamps_are_refused_unless_trusted() -> None:
    found = 0
    for case in _PASS:
        if case.trusted:
            trusted = cases.translate(case)
            with pytest.raises(VerifyError, match="is not trusted"):
                check(trusted, _ABI, _EVERY)
            untrusted = dataclasses.replace(trusted, trusted=False)
            for abi in (_ABI, _TRUSTED):
                with pytest.raises(VerifyError):
                    check(untrusted, abi, _EVERY)
            found += 1
    assert found > 5


def test_trust_lifts_one_rule_and_no_other() -> None:
    for case in _PASS:
        trusted = dataclasses.replace(cases.translate(case), trusted=True)
        check(trusted, _TRUSTED, _features(case))
    rules = {case.name: _broken_if_trusted(case) for case in _FAIL}
    assert {name for name, rule in rules.items() if rule == ""} == _LIFTED
    wanted = {case.name: case.one("rule") for case in _FAIL}
    assert {n: r for n, r in rules.items() if n not in _LIFTED} == {
        n: r for n, r in wanted.items() if n not in _LIFTED
    }


def _broken_if_trusted(case: cases.Case) -> str:
    trusted = dataclasses.replace(cases.translate(case), trusted=True)
    try:
        check(trusted, _TRUSTED, _features(case))
    except VerifyError as error:
        return error.rule.value
    return ""


def test_every_rule_has_failures() -> None:
    count = Counter(case.one("rule") for case in _FAIL)
    assert set(count) == {rule.value for rule in Rule}
    assert min(count.values()) >= 2
    assert len({case.name for case in _FAIL}) == len(_FAIL) >= 80


def test_report_counts() -> None:
    chosen = {case.name: case for case in _PASS}
    report = check(cases.translate(chosen["nested_loops"]), Abi(), _EVERY)
    assert report.cycles == 2
    assert report.accesses == 1
    assert report.proven["clamped"] == 1
    assert not report.vector
    report = check(cases.translate(chosen["literal_address"]), Abi(), _EVERY)
    assert report.proven["literal"] == 2
    report = check(cases.translate(chosen["vector"]), Abi(), _EVERY)
    assert report.vector
    assert report.features == {"avx", "avx2", "bmi1", "bmi2", "ssse3"}


def test_error_names_place_and_instruction() -> None:
    chosen = {case.name: case for case in _FAIL}
    with pytest.raises(VerifyError) as caught:
        check(cases.translate(chosen["index_after_clamp"]), Abi(), _EVERY)
    error = caught.value
    assert error.text == "mov rax, qword ptr [rdi + rcx*8]"
    assert error.offset > 0
    assert f"{error.offset:#x}" in error.message
    assert error.hint


def test_nothing_to_verify_is_refused() -> None:
    whole = cases.translate(_PASS[0])
    check(whole, Abi(), _EVERY)
    for change in (
        {"code": b"", "constants": 0},
        {"entries": ()},
        {"sources": ()},
        {"constants": 0},
        {"constants": len(whole.code) + 8},
    ):
        with pytest.raises(VerifyError):
            check(dataclasses.replace(whole, **change), Abi(), _EVERY)
    with pytest.raises(VerifyError):
        check(whole, dataclasses.replace(Abi(), max_code=8), _EVERY)


def test_features_of_this_machine_are_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(check_module, "_CPUINFO", info)
    chosen = {case.name: case for case in _PASS}
    translation = cases.translate(chosen["vector"])
    processor_features.cache_clear()
    try:
        info.write_text("processor: 0\nflags\t\t: avx avx2 bmi1 bmi2 ssse3 sse4_1\n")
        check(translation, Abi())
        processor_features.cache_clear()
        info.unlink()
        with pytest.raises(VerifyError, match="does not have avx"):
            check(translation, Abi())
    finally:
        processor_features.cache_clear()
