# SPDX-License-Identifier: GPL-2.0-only
"""A file system in memory with Python, this checkout and what its commands need.

For machines that can show a guest no files of the host. Paths are those of the host;
Python modules are compiled, since the guest's processor is slow. Must not depend on the
machine.
"""

from __future__ import annotations

import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ubypass.errors import UbError
from ubypass.lab import initramfs
from ubypass.lab.kernels import Kernel

__all__ = ["initial_files"]

_PREFIX = Path(sys.base_prefix)
_LIBRARY = _PREFIX / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
#: Large parts of Python's library that nothing here imports.
_LEFT_OUT = re.compile(
    r"(test|tests|idlelib|lib2to3|ensurepip|site-packages|tkinter|turtledemo|"
    r"pydoc_data|config-.*|__pycache__|distutils|turtle|\..*)"
)
#: Packages beside this one that its commands import.
_PACKAGES = ("capstone", "elftools", "iced_x86", "librt")
_PROGRAMS = ("as", "objcopy", "nm")


def initial_files(
    kernel: Kernel,
    init: bytes,
    files: Iterable[Path],
    directories: Sequence[Path],
    work: Path,
) -> Path:
    """An archive for the kernel's initial file system, made in ``work``.

    ``init``: the first program; ``files`` and ``directories``: of the host, besides
    Python, its packages and binutils. Raises UbError if something is missing.
    """
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for each in (*_own_files(), *files):
        _copy(each, tree)
    for each in (_LIBRARY, *_own_directories(), *directories):
        for path in _walk(each):
            _copy(path, tree)
    for name in _libraries(tree):
        _copy(Path(name), tree)
    _strip(tree)
    (tree / "init").write_bytes(init)
    (tree / "init").chmod(0o755)
    (tree / "tmp").mkdir(exist_ok=True)
    base, _ = initramfs.base_image(kernel)
    target = work / "initrd"
    busybox = str(initramfs.find_busybox())
    # Archives may follow each other; the kernel unpacks all of them.
    with target.open("wb") as out:
        out.write(base.read_bytes())
        out.flush()
        subprocess.run(
            ["sh", "-c", f"find . | {busybox} cpio -o -H newc 2>/dev/null"],
            cwd=tree,
            stdout=out,
            check=True,
        )
    return target


def _own_files() -> Iterator[Path]:
    yield Path(sys.executable)
    yield Path(os.path.realpath(sys.executable))
    yield Path(sys.prefix) / "pyvenv.cfg"
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found is None:
            raise UbError(f"{name} not found", "apt install binutils")
        yield Path(found)
    yield from _site().glob("__editable__*ubypass*")
    yield from _site().glob("typing_extensions.py")


def _own_directories() -> Iterator[Path]:
    for name in _PACKAGES:
        if (_site() / name).is_dir():
            yield _site() / name
    yield from _site().glob("ubypass*.dist-info")


def _site() -> Path:
    return Path(sys.prefix) / "lib" / _LIBRARY.name / "site-packages"


def _walk(directory: Path) -> Iterator[Path]:
    for path, names, files in os.walk(directory):
        names[:] = [name for name in names if not _LEFT_OUT.fullmatch(name)]
        for name in files:
            if not name.endswith((".a", ".pyi")) and "_tkinter" not in name:
                yield Path(path) / name


def _copy(path: Path, tree: Path) -> None:
    """Copy a file, or what a link leads to; compile a Python module."""
    target = tree / str(path).lstrip("/")
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)
    if path.suffix == ".py":
        _compile(path, target)


def _compile(path: Path, target: Path) -> None:
    """Compile ``path`` as a module that Python will not compare with its source: times
    of files are lost on the way into the guest.
    """
    made = target.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}"
    py_compile.compile(
        str(path),
        f"{made}.pyc",
        dfile=str(path),
        quiet=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _strip(tree: Path) -> None:
    for pattern, how in ("*.so*", "--strip-unneeded"), ("*.ko", "--strip-debug"):
        found = map(str, tree.rglob(pattern))
        subprocess.run(["strip", how, *found], capture_output=True)


def _libraries(tree: Path) -> set[str]:
    """Shared libraries of all programs and libraries in ``tree``, under their paths."""
    found: set[str] = set()
    for path in tree.rglob("*"):
        if path.is_file() and path.open("rb").read(4) == b"\x7fELF":
            listed = subprocess.run(
                ["ldd", f"/{path.relative_to(tree)}"], capture_output=True, text=True
            )
            found.update(re.findall(r"(/[^\s:]+) \(0x", listed.stdout))
    return found
