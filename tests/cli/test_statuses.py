# SPDX-License-Identifier: GPL-2.0-only
"""The table agrees with the code, the help and the documents."""

from __future__ import annotations

import re

from tests.packaging.programs import program
from tests.places import ROOT
from ubypass.cli import main
from ubypass.cli.service.run import EX_UNAVAILABLE
from ubypass.cli.statuses import STATUSES, summary
from ubypass.lab.options import STATUS_LOG_PROBLEM, STATUS_TIMEOUT
from ubypass.service.config import EX_CONFIG
from ubypass.service.place import EX_NOT_RUNNING

_CODES = {each.code for each in STATUSES}


def _plain(page: str) -> str:
    text = re.sub(r"\\f[BIR]", "", page).replace(r"\-", "-")
    return " ".join(text.split()).lower()


def test_each_status_is_there_once_in_ascending_order() -> None:
    assert len(_CODES) == len(STATUSES)
    numbers = [int(each.code.split()[0]) for each in STATUSES[:-1]]
    assert numbers == sorted(numbers)
    for each in STATUSES:
        assert not set(each.meaning) & set(";."), each


def test_statuses_of_the_service_are_those_of_its_code() -> None:
    found = {each.code for each in STATUSES if each.verb == "service"}
    assert found == {str(EX_NOT_RUNNING), str(EX_UNAVAILABLE), str(EX_CONFIG)}
    assert {each.verb for each in STATUSES} <= {"", *main.VERBS}


def test_statuses_of_the_lab_are_those_of_its_code() -> None:
    found = {each.code for each in STATUSES if each.verb == "lab"}
    assert found == {str(STATUS_TIMEOUT)}
    (problem,) = (s for s in STATUSES if s.code == str(STATUS_LOG_PROBLEM))
    assert "warning of its kernel" in problem.meaning


def test_statuses_in_the_source_are_in_the_table() -> None:
    """Where a verb returns a number, or an error has one."""
    numbers = set()
    for file in (ROOT / "src" / "ubypass").rglob("*.py"):
        text = file.read_text()
        numbers |= set(re.findall(r"exit_code=(\d+)", text))
        numbers |= set(re.findall(r"^(?:EX|STATUS)_\w+ = (\d+)$", text, re.MULTILINE))
    numbers |= set(
        re.findall(r"return (\d+)\b", (ROOT / "src/ubypass/cli/main.py").read_text())
    )
    assert {"2", "3", "69", "70", "78", "126", "127", "130"} <= numbers
    named = {n for each in STATUSES for n in re.findall(r"\d+", str(each))}
    assert numbers <= named


def test_help_has_them() -> None:
    said = " ".join(main.parser().format_help().split())
    assert summary() in said
    for each in STATUSES:
        assert f"{each.code}: {each.meaning}" in said


def test_manual_pages_have_them() -> None:
    pages = {name: _plain(page) for name, page in program("manual").pages().items()}
    for each in STATUSES:
        wanted = f".tp {each.code} {each.meaning}.".lower()
        assert wanted in pages["ub.1"]
        for verb in main.VERBS:
            assert (wanted in pages[f"ub-{verb}.1"]) == (verb == each.verb)


def test_the_guide_to_the_service_has_its_own() -> None:
    section = (ROOT / "docs/service.md").read_text().split("\n## Exit statuses\n")[1]
    rows = re.findall(r"^\| (\d+) \|", section.split("\n## ")[0], re.MULTILINE)
    own = {each.code for each in STATUSES if each.verb == "service"}
    assert set(rows) == {"0", "1", "2"} | own
    assert len(rows) == len(set(rows))
