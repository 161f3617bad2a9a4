# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

from tests.selftests import suite
from tests.selftests.source import Source
from tests.selftests.suite import Program
from ubypass.errors import UbError

_MAKEFILE = """\
TEST_GEN_PROGS := good bad
all: $(OUTPUT)/good $(OUTPUT)/bad
$(OUTPUT)/%: %.c
\tgcc -o $@ $<
emit_tests:
\techo "$(COLLECTION):good"; echo "$(COLLECTION):bad"; echo "$(COLLECTION):run.sh"
"""


def test_what_can_be_compiled_is_built(tmp_path: Path) -> None:
    source = Source("6.1", tmp_path / "source")
    part = source.selftests / "rseq"
    part.mkdir(parents=True)
    (part / "Makefile").write_text(_MAKEFILE)
    (part / "good.c").write_text("int main(void) { return 0; }\n")
    (part / "bad.c").write_text("#include <none.h>\n")
    (part / "run.sh").write_text("#!/bin/sh\n")
    (part / "run.sh").chmod(0o755)
    programs = suite.build(source, "rseq", tmp_path / "out", lambda phrase: None)
    assert programs == [Program("rseq", "good"), Program("rseq", "run.sh")]
    assert (tmp_path / "out/programs/gate.so").exists()
    assert "none.h" in (tmp_path / "out/programs/rseq/make.log").read_text()
    with pytest.raises(UbError, match="no selftests of futex"):
        suite.build(source, "futex", tmp_path / "out", lambda phrase: None)


def test_programs_that_upstream_runs_in_scripts_are_run_too(tmp_path: Path) -> None:
    source = Source("6.1", tmp_path / "source")
    names = {"rseq": ("good", "param_test"), "mm": ("good", "cow")}
    for part, built in names.items():
        directory = source.selftests / part
        directory.mkdir(parents=True)
        wanted = " ".join(f"$(OUTPUT)/{name}" for name in built)
        makefile = _MAKEFILE.replace("$(OUTPUT)/good $(OUTPUT)/bad", wanted)
        (directory / "Makefile").write_text(makefile)
        for name in built:
            (directory / f"{name}.c").write_text("int main(void) { return 0; }\n")
    out = tmp_path / "out"
    programs = suite.build(source, "rseq+mm", out, lambda phrase: None)
    # Of rseq it is one beside those that are listed; of mm only chosen ones are run.
    found = [(each.directory, each.name) for each in programs]
    assert found == [("rseq", "good"), ("rseq", "param_test"), ("mm", "cow")]


def test_programs_of_which_nothing_is_translated_are_not_recorded() -> None:
    jobs = suite.jobs([Program("x86", "ldt_gdt_32"), Program("x86", "ldt_gdt_64")])
    assert jobs[0]["record"] == 0 < jobs[1]["record"]


def test_a_program_of_the_harness_has_no_arguments(tmp_path: Path) -> None:
    source = Source("7.3", tmp_path / "source")
    part = source.selftests / "futex/functional"
    part.mkdir(parents=True)
    (part / "Makefile").write_text(_MAKEFILE.replace("good", "futex_requeue_pi"))
    text = "Starting %u tests from %u test cases."
    program = f'#include <stdio.h>\nint main(void) {{ printf("{text}", 1, 1); }}\n'
    (part / "futex_requeue_pi.c").write_text(program)
    programs = suite.build(source, "futex", tmp_path / "out", lambda phrase: None)
    assert [job["command"] for job in suite.jobs(programs)] == [["./futex_requeue_pi"]]


def test_jobs_have_arguments_and_limits() -> None:
    programs = [
        Program("x86", "sigreturn_64"),
        Program("timers", "rtcpie"),
        Program("futex/functional", "futex_requeue_pi"),
    ]
    jobs = suite.jobs(programs)
    assert [job["name"] for job in jobs][:3] == [
        "x86/sigreturn_64",
        "futex/functional/futex_requeue_pi",
        "futex/functional/futex_requeue_pi -b",
    ]
    assert jobs[2]["command"] == ["./futex_requeue_pi", "-b"]
    assert all(job["timeout"] > 0 for job in jobs)
    assert [job["name"] for job in suite.jobs(programs, ["sigret"])] == [
        "x86/sigreturn_64"
    ]
