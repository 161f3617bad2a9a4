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
