# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests import browser, screenshot
from tests.page.samples import section
from ubypass.page.document import document

needs_browser = pytest.mark.skipif(
    browser.found() is None,
    reason=f"no browser: make test installs {browser.PACKAGE}",
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    sections = [section("first words"), section("second")]
    file.write_text(document("Title", "lead", sections, []), encoding="utf-8")
    return file


def _size(file: Path) -> tuple[int, int]:
    """Width and height of a PNG, which are in its first chunk."""
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


@needs_browser
def test_a_page_and_a_part_of_it(page: Path) -> None:
    out = page.with_suffix(".png")
    screenshot.main([str(page), str(out), "--width", "800"])
    width, height = _size(out)
    assert width == 800
    screenshot.main([str(page), str(out), "--width", "800", "--part", "second"])
    assert _size(out)[0] <= 800
    assert 100 < _size(out)[1] < height
    screenshot.main([str(page), str(out), "--part", "second", "--height", "90"])
    assert _size(out)[1] == 90


@needs_browser
def test_a_part_that_is_not_there(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = page.with_suffix(".png")
    with pytest.raises(SystemExit):
        screenshot.main([str(page), str(out), "--part", "nothing"])
    assert "no section and no plot with 'nothing'" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_missing(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "found", lambda: "/usr/bin/true")
    with pytest.raises(SystemExit):
        screenshot.main([str(page.with_name("none")), "out.png"])
    assert "ub bench report makes one" in capsys.readouterr().err
    monkeypatch.setattr(browser, "found", lambda: None)
    with pytest.raises(SystemExit):
        screenshot.main([str(page), "out.png"])
    assert "make test" in capsys.readouterr().err
