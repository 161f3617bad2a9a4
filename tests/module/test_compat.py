# SPDX-License-Identifier: GPL-2.0-only
"""What kernels have is found by compiling, in one place, and not by versions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import kernels

_KERNEL = Path(__file__).parents[2] / "kernel"

# Of a kernel that took back "mm/gup: remove vmas parameter from
# get_user_pages_remote()" (6.5), and nothing else.
_BACKPORT = """
#include <linux/mm.h>
#define get_user_pages_remote(mm, start, n, flags, pages, locked) \\
	get_user_pages_remote(mm, start, n, flags, pages, NULL, locked)
"""


def _sources() -> list[Path]:
    return [path for path in _KERNEL.rglob("*") if path.suffix in (".c", ".h", ".S")]


def _probes() -> set[str]:
    return {path.stem for path in (_KERNEL / "probes").glob("*.c")}


def test_differences_are_in_one_place() -> None:
    for path in _sources():
        text = path.read_text()
        assert "LINUX_VERSION_CODE" not in text, path
        assert "KERNEL_VERSION(" not in text, path
        if path.name not in ("compat.h", "offsets.c"):
            assert "UB_HAVE_" not in text, path


def test_each_probe_is_compiled_and_used() -> None:
    kbuild = (_KERNEL / "Kbuild").read_text().replace("\\\n", " ")
    listed = re.search(r"^ub-probes := (.*)$", kbuild, re.MULTILINE)
    assert listed
    assert {*listed[1].split(), "base"} == _probes()
    used = set(re.findall(r"\bUB_HAVE_(\w+)", (_KERNEL / "compat.h").read_text()))
    assert {name.lower() for name in used} == _probes() - {"base"}


def test_each_difference_names_its_origin() -> None:
    """The change's subject or the release since which it is so."""
    text = (_KERNEL / "compat.h").read_text()
    for found in re.finditer(r"UB_HAVE_(\w+)", text):
        comments = re.findall(r"/\*.*?\*/", text[: found.start()], re.DOTALL)
        # A helper's own may come in between.
        assert re.search(r"\d\.(\d+|x)", "".join(comments[-2:])), found[1]


@pytest.fixture(scope="module")
def headers() -> Path:
    """Of the lab's kernel, which belongs to the host's own compiler."""
    try:
        return kernels.fetch_headers(kernels.default_release())
    except UbError as error:
        pytest.skip(error.message)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The module's directory alone."""
    target = tmp_path / "ub"
    shutil.copytree(_KERNEL, target, ignore=shutil.ignore_patterns("bench"))
    return target


def _make(
    headers: Path, copy: Path, flags: str = ""
) -> subprocess.CompletedProcess[str]:
    """As anybody does, and as DKMS: no part of the project has a hand in it."""
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "KCFLAGS": flags}
    command = ["make", "-C", str(headers), f"M={copy}", "-j2", "modules"]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_a_signature_that_was_taken_back_does_not_matter(
    headers: Path, copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "backport.h").write_text(_BACKPORT)
    done = _make(headers, copy, f"-include {tmp_path}/backport.h")
    assert done.returncode == 0, done.stderr
    assert (copy / "ub.ko").read_bytes().startswith(b"\x7fELF")
    probes = (copy / "ub_probes.h").read_text()
    assert "UB_HAVE_GUP_VMAS" not in probes
    assert "#define UB_HAVE_BASE 1" in probes
    # Nobody's module fails to build for a warning of a newer compiler.
    assert " -Werror " not in (copy / ".main.o.cmd").read_text()


def test_probes_that_cannot_work_end_the_build(headers: Path, copy: Path) -> None:
    with (copy / "probes" / "base.c").open("a") as file:
        file.write("#error no such kernel\n")
    done = _make(headers, copy)
    assert done.returncode != 0
    assert "no such kernel" in done.stderr
    assert not (copy / "ub_probes.h").exists()
