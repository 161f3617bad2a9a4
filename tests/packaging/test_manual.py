# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.programs import program
from ubypass.cli.main import VERBS, parser
from ubypass.device.tunables import TUNABLES
from ubypass.version import VERSION

manual = program("manual")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made: dict[str, str] = manual.pages()
    return made


def _all_below(above: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield above
    for action in above._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _all_below(one)


def _plain(page: str) -> str:
    return re.sub(r"\\f[BIR]", "", page).replace(r"\-", "-")


def test_every_verb_has_a_page_and_is_on_the_first(pages: dict[str, str]) -> None:
    assert set(pages) == {"ub.1", *(f"ub-{verb}.1" for verb in VERBS)}
    for verb in VERBS:
        assert f"ub-{verb}(1)" in _plain(pages["ub.1"])
        assert "ub(1)" in _plain(pages[f"ub-{verb}.1"])


def test_every_option_and_every_action_is_explained(pages: dict[str, str]) -> None:
    (verbs,) = (
        a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)
    )
    seen = 0
    for name, verb in verbs.choices.items():
        page = _plain(pages[f"ub-{name}.1"])
        for one in _all_below(verb):
            assert one.prog in page
            for action in one._actions:
                for option in action.option_strings:
                    assert re.search(rf"^.*{option}\b.*\n[^.]", page, re.MULTILINE)
                    seen += 1
    assert seen > 50


def test_tunables_have_units_ranges_and_defaults(pages: dict[str, str]) -> None:
    wanted = {"ub.1", "ub-run.1", "ub-attach.1", "ub-bench.1"}
    assert {name for name, page in pages.items() if ".SH TUNABLES" in page} == wanted
    for name in wanted:
        section = _plain(pages[name]).split(".SH TUNABLES")[1].split(".SH")[0]
        for each, known in TUNABLES.items():
            (row,) = re.findall(
                rf"^\.TP\n{each.name.lower()}\n(.*)$", section, re.MULTILINE
            )
            assert f"From {known.least} to {known.most} {known.unit};" in row
            assert row.endswith(f"default: {known.usual}.")


def test_no_placeholder_is_left(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert "%(" not in page
        assert "==SUPPRESS==" not in page


def test_the_version_is_in_the_footer(pages: dict[str, str]) -> None:
    assert all(f'"ubypass {VERSION}"' in page for page in pages.values())


def test_text_is_no_request() -> None:
    assert manual._text(".so /etc/passwd") == r"\&.so /etc/passwd"
    assert manual._text("'x") == r"\&'x"
    assert manual._text(r"a\fBb--c~") == r"a\efBb\-\-c\(ti"


def test_a_sentence_starts_and_ends_as_one() -> None:
    assert manual._sentence("build, load or\n unload") == "Build, load or unload."
    assert manual._sentence("NAME=VALUE of what?") == "NAME=VALUE of what?"
    assert manual._sentence("/dev/ub is there.") == "/dev/ub is there."


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
def test_man_shows_them_without_a_warning(
    pages: dict[str, str], tmp_path: Path
) -> None:
    for name, page in pages.items():
        file = tmp_path / name
        file.write_text(page)
        command = ["man", "--warnings=all", "-E", "UTF-8", "-l", "-Tutf8", str(file)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0
        assert done.stderr == "", name
        # Bold letters are printed twice.
        assert "SYNOPSIS" in re.sub(r".\x08", "", done.stdout)
