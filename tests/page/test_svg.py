# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from tests.page.wellformed import problems, text_of
from ubypass.errors import UbError
from ubypass.page import svg


def _drawn(key: str = "k", alt: str = "alt") -> str:
    with svg.drawing():
        figure = svg.figure(100)
        axes = figure.add_subplot()
        axes.plot([0, 1], [-1, 1], color=svg.Colour.C2.value, clip_on=True)
        axes.set_title("a $b$ <c> --> d")
        return svg.svg(figure, key, alt)


@pytest.fixture
def no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    real = svg.importlib.import_module

    def missing(name: str) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(f"No module named {name!r}")
        return real(name)

    monkeypatch.setattr(svg.importlib, "import_module", missing)


def test_an_element_of_a_page() -> None:
    text = _drawn(alt='a "<picture>"')
    assert problems(text) == []
    assert 'aria-label="a &quot;&lt;picture&gt;&quot;"' in text
    assert text.startswith("<svg ")
    assert "a $b$ <c> --> d" in text_of(text)
    assert not re.search(r"<\?xml|<!|<metadata|<style|xmlns|http", text)


def test_colours_are_those_of_the_style() -> None:
    text = _drawn()
    assert "var(--c2)" in text
    assert not re.search(r"#[0-9a-f]{6}\b", text)


def test_identifiers_are_the_plot_s_own() -> None:
    assert problems(_drawn("a") + _drawn("b")) == []
    assert problems(_drawn("a") + _drawn("a")) != []


def test_the_same_each_time() -> None:
    assert _drawn() == _drawn()


def test_settings_of_others_are_left_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    _drawn()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_a_line_says_what_to_install() -> None:
    with pytest.raises(UbError, match="plots need matplotlib") as error:
        _drawn()
    assert "pip install 'ubypass[report]'" in error.value.hint
    assert "python3-matplotlib" in error.value.hint


def test_nothing_of_it_is_imported_until_something_is_drawn() -> None:
    code = (
        "import sys, ubypass.page.document, ubypass.page.shares, "
        "ubypass.bench.documents.report; print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
