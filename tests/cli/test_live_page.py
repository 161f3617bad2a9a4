# SPDX-License-Identifier: GPL-2.0-only
"""``ub stats --html`` and ``ub explain --html``, with engines that are played."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.live_samples import explained, process, region, site
from tests.page.wellformed import problems, text_of
from ubypass.cli.listing import site_cells
from ubypass.cli.process_figures import NOTHING, process_rows
from ubypass.engine import control
from ubypass.errors import UbError
from ubypass.page import svg
from ubypass.process.namespace import own_namespace

Ub = Callable[..., int]


def _answers(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    monkeypatch.setattr(control, "ask_all", lambda question: ([answer], []))


def _stats(*processes: dict[str, Any]) -> dict[str, Any]:
    return {
        "engine_pid": 7,
        "pid_namespace": own_namespace(),
        "processes": list(processes),
    }


def _attached(page: str) -> Any:
    (text,) = re.findall(r'base64,([^"]+)"', page)
    return json.loads(base64.b64decode(text))


def test_all_figures_of_a_process_are_on_its_page(
    ub: Ub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _answers(monkeypatch, _stats(process()))
    assert ub("stats", "--html", tmp_path / "page.html") == 0
    assert capsys.readouterr() == ("", "")
    page = (tmp_path / "page.html").read_text()
    assert problems(page) == []
    for name, value in process_rows(process()):
        assert f"{name} {value}" in text_of(page)
    assert "1,000 calls, 99.0%" in text_of(page)
    assert "ret miss" in text_of(page)
    assert ub("stats", "--json") == 0
    assert _attached(page) == json.loads(capsys.readouterr().out)


def test_a_process_that_has_done_nothing_yet(
    ub: Ub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = process(calls=0, dispatched=0, exits={})
    _answers(monkeypatch, _stats(idle))
    assert ub("stats", "--html", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert problems(page) == []
    assert "<svg" not in page


def test_why_one_of_many_is_not_boosted_and_plots_have_an_end(
    ub: Ub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [process(pid=1000 + n, calls=1000 + n, name="x") for n in range(30)]
    traced = process(pid=7, calls=1, declined_for="ptrace")
    _answers(monkeypatch, _stats(traced, *many))
    assert ub("stats", "--html", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert problems(page) == []
    assert "Not boosted : it is being traced. end strace" in text_of(page)
    plot = page[page.index("<svg") : page.index("</svg>")]
    assert plot.count(" calls, ") == 2 * 20 - 8  # the alternative text has twelve
    assert "1029 x" in plot
    assert "7 &lt;b" not in plot
    assert "<h2" in page
    assert text_of(page).count("first boost") == 31


def test_nothing_is_boosted(
    ub: Ub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answers(monkeypatch, _stats())
    assert ub("stats", "--html", tmp_path / "page.html") == 0
    assert NOTHING in text_of((tmp_path / "page.html").read_text())


def test_what_is_decided_and_what_runs(
    ub: Ub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _answers(monkeypatch, explained())
    monkeypatch.setattr("ubypass.cli.named.one_process", lambda word, why: 4242)
    assert ub("explain", "4242", "--html", tmp_path / "page.html") == 0
    assert capsys.readouterr() == ("", "")
    page = (tmp_path / "page.html").read_text()
    text = text_of(page)
    assert problems(page) == []
    assert " ".join(site_cells(site())) in text
    for word in (
        *("gain per run, from the model zen4", "376 → 504", "9 fault", "rbx h+0x2"),
        *("1002 mov eax,39", "mov eax,39 <x> ; why", "13 exits", "5 instructions"),
    ):
        assert word in text
    assert _attached(page) == {"version": 1, **explained()}


def test_why_nothing_is_boosted(
    ub: Ub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = {"reason": "it is being traced", "hint": "end strace", "filtered": 1234}
    _answers(monkeypatch, explained(**odd, sites=[], regions=[]))
    monkeypatch.setattr("ubypass.cli.named.one_process", lambda word, why: 4242)
    assert ub("explain", "4242", "--html", tmp_path / "page.html") == 0
    text = text_of((tmp_path / "page.html").read_text())
    assert "Not boosted : it is being traced. end strace" in text
    assert "1,234 calls were made natively" in text
    assert "Trusted : no protection of kernel memory" in text
    assert "None of its system calls has been examined yet." in text


def test_a_region_by_its_number(
    ub: Ub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = {**region(), "exits": [], "nonpointers": [], "lines": []}
    _answers(monkeypatch, quiet)
    monkeypatch.setattr("ubypass.cli.named.one_process", lambda word, why: 3)
    assert ub("explain", "3", "--html", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert problems(page) == []
    assert "No exits yet." in text_of(page)


@pytest.mark.parametrize(
    "words",
    [
        ("stats", "--watch"),
        ("stats", "--json"),
        ("explain", "1", "--json"),
        ("explain", "1", "--exits"),
        ("explain", "1", "--sites"),
    ],
)
def test_what_does_not_go_together(
    ub: Ub, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub(*words, "--html", tmp_path / "page.html") == 2
    assert "--html excludes" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [("stats",), ("explain", "1")])
def test_without_matplotlib_nobody_is_asked(
    ub: Ub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: tuple[str, ...],
) -> None:
    def missing() -> None:
        raise UbError("plots need matplotlib", "pip install 'ubypass[report]'")

    def ask(question: Any) -> Any:
        raise AssertionError("asked")

    monkeypatch.setattr(svg, "require", missing)
    monkeypatch.setattr(control, "ask_all", ask)
    assert ub(*verb, "--html", tmp_path / "page.html") == 1
    assert "plots need matplotlib" in capsys.readouterr().err
