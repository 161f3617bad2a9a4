# SPDX-License-Identifier: GPL-2.0-only
from tests.selftests.tap import EXIT, verdicts

_KTAP = """\
TAP version 13
1..4
# Starting 4 tests from 1 test cases.
#  RUN           global.mode_strict_support ...
#            OK  global.mode_strict_support
ok 1 global.mode_strict_support
# seccomp_bpf.c:296:mode_filter:Expected 0 (0) == ret (1)
not ok 2 - mode_filter
ok 3 # SKIP no support of uprobes
ok 4 delivered 1234 signals in 17.25 s
"""


def test_ktap() -> None:
    assert verdicts(_KTAP.splitlines(), 1) == {
        "global.mode_strict_support": "ok",
        "mode_filter": "not ok",
        "": "ok SKIP",
        "delivered # signals in # s": "ok",
        EXIT: "status 1",
    }


def test_brackets_without_what_varies() -> None:
    output = """\
[RUN]\tSet TF and check nop
[OK]\tSurvived with TF set and 9 traps
[FAIL]\tGS was 0x7f0012345678, not 00007f0011111111
[OK]\tSurvived with TF set and 9 traps
"""
    assert verdicts(output.splitlines(), -11) == {
        "Survived with TF set and 9 traps": "OK",
        "GS was 0x#, not #": "FAIL",
        "Survived with TF set and 9 traps #2": "OK",
        EXIT: "signal 11",
    }


def test_a_program_without_verdicts_is_one_test() -> None:
    assert verdicts(["spawning", "done"], 0) == {EXIT: "status 0"}
    assert verdicts([], None) == {EXIT: "timeout"}
