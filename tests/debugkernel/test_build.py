# SPDX-License-Identifier: GPL-2.0-only
"""What is done around make; the kernel itself takes minutes of all processors."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.debugkernel import build as building
from tests.debugkernel.build import HOME, build, lay_out, lost
from tests.debugkernel.source import Source
from tests.places import ROOT
from ubypass.errors import UbError
from ubypass.lab import initramfs, kernels
from ubypass.lab.kernels import headers_dir
from ubypass.lab.own import KERNEL_VARIABLE

_RELEASE = "6.1.9-debug"
_CONFIG = ROOT / "tests" / "debugkernel" / "kernel.config"
#: In place of the kernel's Makefile: notes its goals, makes what lay_out() needs.
_MAKEFILE = """\
.PHONY: $(MAKECMDGOALS)
allnoconfig:
\techo allnoconfig >> goals
\tcp kernel.config .config
bzImage scripts/module.lds:
\techo $@ >> goals
\techo "  CC      init/main.o"
\tmkdir -p arch/x86/boot
\techo kernel > arch/x86/boot/bzImage
\ttouch modules.builtin modules.builtin.modinfo vmlinux.symvers
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for a kernel, with the tools of this system and a source of nothing."""
    root = tmp_path / "root"
    status = root / "var" / "lib" / "dpkg" / "status"
    status.parent.mkdir(parents=True)
    status.write_text(
        "Package: bc\nStatus: installed\nVersion: 1\n\n"
        "Package: linux-source-6.1\nStatus: installed\nVersion: 6.1.9-1\n\n"
    )
    top = tmp_path / "linux-source-6.1"
    top.mkdir()
    (top / "Makefile").write_text(_MAKEFILE)
    source = Source(root)
    source.archive.parent.mkdir(parents=True)
    subprocess.run(
        ["tar", "-cJf", source.archive, "-C", tmp_path, top.name], check=True
    )
    monkeypatch.setattr(building, "fetch", lambda report: source)
    monkeypatch.setattr(building.roots, "inside", lambda root, command, shared: command)
    return tmp_path / "debug-kernel"


def _goals(home: Path) -> list[str]:
    tree = headers_dir(home / "headers", _RELEASE)
    return (tree / "goals").read_text().split()


def test_what_was_built_is_what_the_lab_boots(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(home, lambda phrase: None) == _RELEASE
    monkeypatch.setenv(KERNEL_VARIABLE, str(home))
    kernel = kernels.fetch_kernel()
    assert kernel.release == _RELEASE
    assert kernel.image.read_text() == "kernel\n"
    assert (kernel.modules / "modules.dep").exists()
    tree = kernels.fetch_headers(_RELEASE)
    # Modules are built with the compiler of the kernel, whoever builds them.
    assert "override CC = gcc-12\n" in (tree / ".kernelvariables").read_text()
    assert (tree / "Module.symvers").exists()
    (kbuild,) = (tree.parents[1] / "lib").iterdir()
    assert (kbuild.name, kbuild.resolve()) == ("linux-kbuild-6.1", tree)
    assert kernels.suite_of(_RELEASE) == "bookworm"


def test_what_is_built_in_need_not_be_loaded(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "arch" / "x86" / "boot").mkdir(parents=True)
    for name in "vmlinux.symvers", "modules.builtin.modinfo", "arch/x86/boot/bzImage":
        (tree / name).touch()
    names = {
        "virtio_pci": "drivers/virtio",
        "virtio_console": "drivers/char",
        "9pnet_virtio": "net/9p",
        "9p": "fs/9p",
        "overlay": "fs/overlayfs",
    }
    lines = [f"kernel/{place}/{name}.ko\n" for name, place in names.items()]
    (tree / "modules.builtin").write_text("".join(lines))
    lay_out(tree, tmp_path, _RELEASE)
    modules = tmp_path / "image" / "lib" / "modules" / _RELEASE
    assert initramfs.load_order(modules, initramfs.MODULES) == []


def test_a_second_call_does_nothing(home: Path) -> None:
    build(home, lambda phrase: None)
    done = _goals(home)
    assert sorted(done) == ["allnoconfig", "bzImage", "scripts/module.lds"]
    said: list[str] = []
    assert build(home, said.append) == _RELEASE
    assert _goals(home) == done
    assert said == []


def test_a_call_after_an_interruption_continues(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = building._make

    def interrupted(
        source: object, tree: Path, goals: list[str], *rest: object
    ) -> None:
        make(source, tree, goals, *rest)  # type: ignore[arg-type]
        if "bzImage" in goals:
            raise KeyboardInterrupt

    monkeypatch.setattr(building, "_make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(home, lambda phrase: None)
    assert not (home / "built").exists()
    monkeypatch.setattr(building, "_make", make)
    build(home, lambda phrase: None)
    # Configured once: that would compile all files anew.
    assert _goals(home).count("allnoconfig") == 1
    assert _goals(home).count("bzImage") == 2


def test_another_version_is_built_from_scratch(home: Path) -> None:
    left = headers_dir(home / "headers", "6.1.8-debug")
    left.mkdir(parents=True)
    build(home, lambda phrase: None)
    assert not left.exists()


def test_a_configuration_that_is_not_taken_over_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(building, "lost", lambda wanted, config: ["CONFIG_KASAN=y"])
    for _ in range(2):
        with pytest.raises(UbError, match=r"6\.1\.9-1 does not take CONFIG_KASAN=y"):
            build(home, lambda phrase: None)


def test_what_does_not_build_is_said(home: Path) -> None:
    build(home, lambda phrase: None)
    (home / "built").unlink()
    makefile = headers_dir(home / "headers", _RELEASE) / "Makefile"
    makefile.write_text("%:\n\t@echo 'init/main.c:7: error: no' >&2; false\n")
    with pytest.raises(UbError, match=r"init/main\.c:7: error: no") as caught:
        build(home, lambda phrase: None)
    assert str(home / "build.log") in caught.value.hint
    assert not (home / "built").exists()


def test_lost_options_are_found() -> None:
    wanted = "# why\nCONFIG_KASAN=y\nCONFIG_NR_CPUS=8\nCONFIG_KVM=m\n"
    config = "CONFIG_KASAN=y\nCONFIG_NR_CPUS=64\n# CONFIG_KVM is not set\n"
    assert lost(wanted, config) == ["CONFIG_NR_CPUS=8", "CONFIG_KVM=m"]


def test_the_kernel_checks_itself() -> None:
    lines = _CONFIG.read_text().splitlines()
    checks = ("KASAN", "UBSAN", "PROVE_LOCKING", "PROVE_RCU")
    for name in (*checks, "DEBUG_ATOMIC_SLEEP", "DEBUG_PREEMPT"):
        assert f"CONFIG_{name}=y" in lines
    assert len(lines) == len(set(lines)) + lines.count("") - 1


def test_the_kernel_is_where_make_takes_it_from() -> None:
    said = subprocess.run(
        ["make", "-C", ROOT, "-n", "-p", "KERNEL=debug", "help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"UBYPASS_KERNEL := {HOME}\n" in said
