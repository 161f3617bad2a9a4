# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import kernels, own

_RELEASE = "6.1.9-mine"


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel in a directory of its own, beside an empty cache."""
    home = tmp_path / "mine"
    modules = home / "image" / "lib" / "modules" / _RELEASE
    build = home / "headers" / "usr" / "src" / f"linux-headers-{_RELEASE}"
    for directory in home / "image" / "boot", modules, build:
        directory.mkdir(parents=True)
    (home / "release").write_text(f"{_RELEASE}\n")
    (home / "suite").write_text("bookworm\n")
    (home / "image" / "boot" / f"vmlinuz-{_RELEASE}").write_text("kernel")
    (build / "Makefile").touch()
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(own.KERNEL_VARIABLE, str(home))
    return home


def test_a_kernel_that_was_chosen_is_the_one_of_the_lab(chosen: Path) -> None:
    assert kernels.default_release() == _RELEASE
    kernel = kernels.fetch_kernel()
    assert kernel.image.read_text() == "kernel"
    assert kernel.modules == chosen / "image" / "lib" / "modules" / _RELEASE


def test_it_comes_before_a_suite_that_a_variable_chooses(
    chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kernels.SUITE_VARIABLE, "sid")
    assert kernels.default_release() == _RELEASE


def test_modules_are_built_for_it_by_the_tools_of_its_suite(chosen: Path) -> None:
    build = kernels.fetch_headers(_RELEASE)
    assert build == kernels.headers_dir(chosen / "headers", _RELEASE)
    assert kernels.suite_of(_RELEASE) == "bookworm"


def test_other_releases_stay_where_they_were(chosen: Path) -> None:
    assert own.home_of("6.1.0-9-amd64") is None
    assert own.home_of(_RELEASE) == chosen
    assert kernels.suite_of("6.1.0-9-amd64") is None
    assert kernels.cached_releases() == []


def test_without_the_variable_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(own.KERNEL_VARIABLE, raising=False)
    assert own.own_release() is None
    assert own.home_of(_RELEASE) is None


@pytest.mark.parametrize("missing", ["release", f"image/boot/vmlinuz-{_RELEASE}"])
def test_a_directory_without_a_kernel_is_an_error(chosen: Path, missing: str) -> None:
    (chosen / missing).unlink()
    with pytest.raises(UbError, match=f"no kernel in {chosen}") as caught:
        kernels.default_release()
    assert "make debug-kernel" in caught.value.hint
