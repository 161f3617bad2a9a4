# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import iced_x86
import pytest

from tests.packaging.programs import program
from tests.places import ROOT
from ubypass.store.address import translator_digest
from ubypass.version import VERSION

private = program("private")


def _wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x = 1\n")
    return path


def test_what_is_imported_comes_along_and_nothing_else(tmp_path: Path) -> None:
    wheel = _wheel(
        tmp_path / "a-1-py3-none-any.whl",
        *("a/__init__.py", "a/lib/liba.so", "a/include/a.h", "a/a.pyi"),
        *("a-1.dist-info/RECORD", "a.libs/"),
    )
    private.unpack(wheel, tmp_path / "to")
    found = (p.relative_to(tmp_path / "to") for p in (tmp_path / "to").rglob("*.*"))
    assert {str(path) for path in found} == {"a/__init__.py", "a/lib/liba.so"}


def test_a_wheel_that_installs_elsewhere_is_refused(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path / "a-1-py3-none-any.whl", "a-1.data/scripts/a")
    with pytest.raises(SystemExit, match=r"a-1\.data"):
        private.unpack(wheel, tmp_path / "to")


def test_the_tool_runs_from_there(tmp_path: Path) -> None:
    private.copy_tool(tmp_path)
    script = (ROOT / "debian" / "ub").read_text()
    assert "/usr/lib/ubypass" in script
    file = tmp_path / "ub"
    file.write_text(script.replace("/usr/lib/ubypass", str(tmp_path)))
    # As the package's, without what the environment says.
    command = [sys.executable, "-I", str(file)]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"ub {VERSION}\n", "")
    where = "import ubypass.places as p; print(p.__file__, p.kernel_sources())"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {where}"
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    words = done.stdout.split()
    assert len(words) == 2
    assert all(word.startswith(f"{tmp_path}/") for word in words)


def test_nothing_built_is_copied(tmp_path: Path) -> None:
    private.copy_tool(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {
        *(".py", ".toml", ".txt", ".sh", ".c", ".h", ".S", ".lua", ".css"),
        *(".typed", ""),
    }
    assert not [path for path in files if path.is_symlink()]
    assert {path.name for path in files if not path.suffix} == {"Kbuild"}


def test_a_store_works_without_what_pip_knows(tmp_path: Path) -> None:
    private.copy_tool(tmp_path)
    decoder = Path(iced_x86.__file__).parent
    shutil.copytree(decoder, tmp_path / decoder.name)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from ubypass.store.address import translator_digest as digest; print(digest())"
    )
    # -S: without the directories that pip installs to.
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (translator_digest(), "")
