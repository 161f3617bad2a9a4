# SPDX-License-Identifier: GPL-2.0-only
"""The kernel modules build for all releases that apt offers or the cache has."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.module.units import defined, units
from ubypass.lab import kernels
from ubypass.module.build import build_module

_ROOT = Path(__file__).parents[2]
_SERIES = "6.1"
# Of gcc, objtool and modpost; not the remark that another gcc built the kernel.
_WARNING = re.compile(r"^.*(?:: warning: |WARNING: ).*$", re.MULTILINE)


@pytest.fixture(scope="module")
def offered() -> list[str]:
    """What apt offers now, oldest first."""
    found = kernels.offered_releases(_SERIES)
    if not found:
        pytest.skip(f"apt offers no headers of {_SERIES}")
    return found


@pytest.fixture(params=["oldest", "newest", *kernels.cached_headers()])
def release(request: pytest.FixtureRequest, offered: list[str]) -> str:
    """Of what apt offers, two; of what was fetched (`make test-kernels`), all."""
    if request.param not in ("oldest", "newest"):
        if request.param in (offered[0], offered[-1]):
            pytest.skip("built already")
        return str(request.param)
    if request.param == "oldest" and len(offered) == 1:
        pytest.skip(f"apt offers {offered[0]} alone, which is the newest")
    return offered[0 if request.param == "oldest" else -1]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Builds a module for a release, from nothing and once: release, subdir."""

    @functools.cache
    def once(release: str, subdir: str) -> Path:
        out = tmp_path_factory.mktemp(f"{release}-{subdir}")
        return build_module(release, _ROOT / "kernel", out, subdir=subdir)

    return once


@pytest.mark.parametrize("subdir", ["", "bench"])
def test_modules_build_without_warnings(
    build: Callable[[str, str], Path],
    release: str,
    subdir: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UB_WERROR", "1")
    module = build(release, subdir)
    assert f"vermagic={release} ".encode() in module.read_bytes()
    out = module.parent.parent if subdir else module.parent
    log = (out / "build.log").read_text()
    assert re.search(r"\bLD \[M\]", log), log
    assert not _WARNING.findall(log)


_REFUSED = {
    "CONFIG_X86_FRED": b"runs with FRED",
    "CONFIG_XEN_PV": b"a paravirtual guest of Xen",
    "CONFIG_CFI_CLANG": b"kCFI",
    "CONFIG_CFI": b"kCFI",
}


_LACKS_COUNT = b"this kernel has no preemption count"


def test_the_reasons_are_those_of_the_module() -> None:
    source = (_ROOT / "kernel" / "check.c").read_bytes()
    for reason in (*_REFUSED.values(), _LACKS_COUNT, b"this kernel lacks"):
        assert reason in source, reason


def test_what_is_refused_fits_the_kernel(
    build: Callable[[str, str], Path], release: str
) -> None:
    """What it cannot be is not asked; nothing that is needed is unknown."""
    config = (kernels.fetch_headers(release) / ".config").read_text()
    module = build(release, "").read_bytes()
    for option, reason in _REFUSED.items():
        if f"{option}=y" in config:
            assert reason in module, option
        elif option != "CONFIG_CFI" and option != "CONFIG_CFI_CLANG":
            assert reason not in module, option
    assert b"kCFI" not in module or "CONFIG_CFI" in config
    assert b"this kernel lacks" not in module
    assert _LACKS_COUNT not in module


def test_symbols_are_those_of_which_the_layers_know(
    build: Callable[[str, str], Path], release: str
) -> None:
    """``test_layers`` reads sources: what the linker sees is the same."""
    objects = build(release, "").parent
    for unit, paths in units(_ROOT / "kernel").items():
        if not any(path.suffix in (".c", ".S") for path in paths) or unit == "offsets":
            continue
        command = ["nm", "--extern-only", "--defined-only", f"{objects}/{unit}.o"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = {line.split()[2] for line in done.stdout.splitlines()}
        assert {name for name in found if name.startswith("ub_")} == defined(paths)


def test_warnings_are_noticed(offered: list[str], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Kbuild").write_text("obj-m := odd.o\nodd-y := main.o odd_asm.o\n")
    (source / "main.c").write_text(
        '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("");\n'
    )
    (source / "odd_asm.S").write_text(
        "#include <linux/linkage.h>\n.text\n"
        "SYM_FUNC_START(odd)\n push %rax\n ret\nSYM_FUNC_END(odd)\n"
    )
    build_module(offered[-1], source, tmp_path / "out")
    log = (tmp_path / "out" / "build.log").read_text()
    assert any("objtool" in line for line in _WARNING.findall(log)), log
