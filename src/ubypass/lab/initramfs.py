# SPDX-License-Identifier: GPL-2.0-only
"""The guest's initial file system: busybox, a few modules, ``init.sh``.

Built without privileges as an uncompressed cpio archive (decompression costs the guest
more than reading). The archive of a kernel is reproducible and cached under a hash of
its contents; the job of one run is a second, small archive behind the first one in the
same file. Must not depend on how the machine is started.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab.kernels import Kernel
from ubypass.places import cache_dir

__all__ = [
    "MODULES",
    "archive",
    "base_image",
    "find_busybox",
    "load_order",
    "needs_virtiofs",
]

# Modules that the guest needs to access the host's files. All others are loaded from
# /lib/modules/RELEASE with modprobe.
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
# The same for kernels without 9p.
_MODULES_VIRTIOFS = ("virtio_pci", "virtio_console", "virtiofs", "overlay")

_DIRECTORIES = ("bin", "dev", "job", "lower", "modules", "proc", "sys", "root")
_LINK, _DIRECTORY, _FILE, _CHAR = 0o120777, 0o040755, 0o100755, 0o020600

# (name, mode, contents, (major, minor) of a device)
_Entry = tuple[str, int, bytes, tuple[int, int]]


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A cpio archive (``newc``) of executable files with these names and contents."""
    return _cpio((name, _FILE, data, (0, 0)) for name, data in files)


def base_image(kernel: Kernel) -> tuple[Path, list[str]]:
    """The cached archive for ``kernel`` and the modules in it, in load order.

    Raises UbError if busybox or a module is missing.
    """
    busybox = find_busybox()
    needed = _MODULES_VIRTIOFS if needs_virtiofs(kernel) else MODULES
    paths = load_order(kernel.modules, needed)
    names = [_plain_name(path) for path in paths]
    entries: list[_Entry] = [(name, _DIRECTORY, b"", (0, 0)) for name in _DIRECTORIES]
    # The kernel opens /dev/console before the first program mounts anything.
    entries.append(("dev/console", _CHAR, b"", (5, 1)))
    entries.append(("dev/null", _CHAR, b"", (1, 3)))
    entries.append(("bin/busybox", _FILE, busybox.read_bytes(), (0, 0)))
    entries.append(("bin/sh", _LINK, b"busybox", (0, 0)))
    init = resources.files("ubypass.lab").joinpath("init.sh").read_bytes()
    entries.append(("init", _FILE, init, (0, 0)))
    for name, path in zip(names, paths, strict=True):
        entries.append((f"modules/{name}", _FILE, _module(path), (0, 0)))
    data = _cpio(entries)
    digest = hashlib.sha256(data).hexdigest()[:16]
    target = cache_dir() / "initramfs" / f"{kernel.release}-{digest}.cpio"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as work:
            fresh = Path(work) / target.name
            fresh.write_bytes(data)
            os.replace(fresh, target)
    return target, names


def needs_virtiofs(kernel: Kernel) -> bool:
    """Whether the guest gets the host's files by virtiofs: the kernel has no 9p."""
    modules = kernel.modules
    depends = (modules / "modules.dep").read_text().splitlines()
    known = [line.partition(":")[0] for line in depends]
    known += (modules / "modules.builtin").read_text().split()
    return "9p" not in map(_module_name, known)


def load_order(modules: Path, wanted: Sequence[str]) -> list[Path]:
    """Module files to load for ``wanted``, each after those it depends on.

    ``modules`` is a ``/lib/modules/RELEASE`` directory; built-in modules are left out.
    Raises UbError for a module that the kernel does not have.
    """
    depends: dict[str, tuple[str, list[str]]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        depends[_module_name(path)] = (path, rest.split())
    builtin_list = (modules / "modules.builtin").read_text().split()
    builtin = {_module_name(path) for path in builtin_list}
    order: list[str] = []

    for name in wanted:
        if name in builtin:
            continue
        if name not in depends:
            raise UbError(f"kernel {modules.name} has no module {name}")
        path, needed = depends[name]
        # modules.dep lists all dependencies, direct or not, the deepest last.
        for each in [*reversed(needed), path]:
            if each not in order:
                order.append(each)
    return [modules / path for path in order]


def _module_name(path: str) -> str:
    return Path(path).name.split(".")[0].replace("-", "_")


def _plain_name(path: Path) -> str:
    return f"{path.name.split('.')[0]}.ko"


def _module(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return _zstd(path)
    if path.suffix != ".ko":
        raise UbError(f"cannot read {path.name}: unknown compression {path.suffix}")
    return data


def _zstd(path: Path) -> bytes:
    # Python has zstd in its library only since 3.14.
    if shutil.which("zstd") is None:
        raise UbError(f"cannot read {path.name}: zstd not found", "apt install zstd")
    done = child.run(["zstd", "-dcq", str(path)], capture_output=True)
    if done.returncode != 0:
        raise UbError(f"cannot read {path.name}: it is damaged")
    data: bytes = done.stdout
    return data


def find_busybox() -> Path:
    """A busybox that needs no libraries. Raises UbError if there is none."""
    found = shutil.which("busybox", path=f"{os.environ.get('PATH', '')}:/bin:/usr/bin")
    if found is None:
        raise UbError("the lab needs busybox", "apt install busybox-static")
    path = Path(found)
    # A dynamically linked program has the path of its loader in the first page.
    if b"/ld-linux" in path.read_bytes()[:4096]:
        raise UbError(
            f"the lab needs a static busybox, {path} is not one",
            "apt install busybox-static",
        )
    return path


def _cpio(entries: Iterable[_Entry]) -> bytes:
    """newc format: see the kernel's driver-api/early-userspace/buffer-format."""
    out = bytearray()
    trailer: _Entry = ("TRAILER!!!", 0, b"", (0, 0))
    for inode, (name, mode, data, device) in enumerate([*entries, trailer], 1):
        raw_name = name.encode() + b"\0"
        fields = (
            *(inode, mode, 0, 0, 1, 0, len(data), 0, 0),
            *(*device, len(raw_name), 0),
        )
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + raw_name
        out += bytes(-len(out) % 4)
        out += data
        out += bytes(-len(out) % 4)
    return bytes(out)
