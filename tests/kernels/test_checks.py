# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

from tests.kernels.checks import (
    CHECKS,
    TARGETS,
    Check,
    Result,
    load,
    page,
    save,
)


def _passed(name: str, release: str) -> Result:
    result = Result(name, release, "gcc-14 (14.2.0)")
    for check in CHECKS:
        result.note(check, True, f"{check.value} of {release}")
    return result


def test_results_come_back_as_they_were_saved(tmp_path: Path) -> None:
    result = _passed("trixie", "6.12.1+deb13-amd64")
    file = tmp_path / "kernels.json"
    assert load(file) == []
    save(file, result)
    assert load(file) == [result]


def test_targets_that_are_not_tried_keep_their_results(tmp_path: Path) -> None:
    file = tmp_path / "kernels.json"
    for name in ("sid", "bookworm-milan", "bookworm", "trixie"):
        save(file, _passed(name, "6.1.0-1-amd64"))
    newer = _passed("bookworm", "6.1.0-2-amd64")
    save(file, newer)
    names = [each.name for each in load(file)]
    assert names == ["bookworm", "bookworm-milan", "trixie", "sid"]
    assert load(file)[0] == newer


def test_each_target_is_something_else() -> None:
    assert len(set(TARGETS.values())) == len(TARGETS)


def test_kernels_of_servers_are_tried_on_the_processors_of_servers() -> None:
    for suite in ("bookworm", "trixie"):
        tried = {each.processor for each in TARGETS.values() if each.suite == suite}
        assert tried == {"max", "Skylake-Server", "EPYC-Milan"}


def test_the_page_is_of_the_results() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert (docs / "kernels.md").read_text() == page(load(docs / "kernels.json"))


def test_a_kernel_passes_with_all_checks_only() -> None:
    result = Result("sid", "7.2.13+deb14-amd64", "gcc-16 (16.2.0)")
    result.note(Check.BUILT, True)
    assert not result.passed
    result = _passed("sid", "7.2.13+deb14-amd64")
    assert result.passed
    result.note(Check.LOG, False, "WARNING: x")
    assert not result.passed


def test_the_guest_tests_are_done_on_request() -> None:
    result = _passed("sid", "7.2.13+deb14-amd64")
    del result.good[Check.GUEST.value]
    assert result.passed
    result.note(Check.GUEST, False, "9 passed, 1 failed")
    assert not result.passed


def test_the_page_has_a_row_for_each_kernel_oldest_first() -> None:
    failing = _passed("sid", "7.2.13+deb14-amd64")
    failing.note(Check.LOG, False, "WARNING: x")
    unfinished = Result("trixie", "6.12.118+deb13-amd64", "gcc-14 (14.2.0)")
    unfinished.note(Check.BUILT, False, "no such thing")
    text = page([failing, unfinished, _passed("bookworm", "6.1.0-56-amd64")])
    rows = [line for line in text.splitlines() if "-amd64 |" in line]
    assert [row.split(" | ")[1] for row in rows] == ["bookworm", "trixie", "sid"]
    assert rows[0].count(" yes ") == len(CHECKS)
    assert rows[1].count("**no**") == 1
    assert rows[1].count(" yes ") == 0
    assert "**no**" in rows[2]
    assert "- log: WARNING: x" in text
    assert all(f"| {check.value} | " in text for check in CHECKS)


def test_rows_name_suite_and_processor() -> None:
    text = page([_passed("trixie-rt", "6.12.1+deb13-rt-amd64")])
    assert "| 6.12.1+deb13-rt-amd64 | trixie | max | gcc-14 " in text
    text = page([_passed("bookworm-milan", "6.1.0-1-amd64")])
    assert "| 6.1.0-1-amd64 | bookworm | EPYC-Milan | gcc-14 " in text
    assert "### 6.1.0-1-amd64, EPYC-Milan" in text
