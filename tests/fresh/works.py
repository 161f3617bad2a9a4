# SPDX-License-Identifier: GPL-2.0-only
"""Whether tool and module are installed in a root directory as they should be."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.fresh.machine import Done, Failed, Machine

__all__ = ["kernel_release", "modules", "works"]

_COMPLETION = """
. /usr/share/bash-completion/completions/ub
COMP_LINE="ub mod" COMP_POINT=6 COMP_TYPE=9 COMP_WORDS=(ub mod) COMP_CWORD=1
COMP_WORDBREAKS=" :="
words=$(complete -p ub); words=${words#*-F }
${words%% *} ub; echo "${COMPREPLY[@]}"
"""


def kernel_release(machine: Machine) -> str:
    """The kernel for which there are headers: no other is installed."""
    (found,) = (machine.root / "usr/lib/modules").iterdir()
    return found.name


def modules(machine: Machine, release: str) -> list[Path]:
    """Files of the module for that kernel, of whatever compression."""
    return list((machine.root / "usr/lib/modules" / release).rglob("ub.ko*"))


def works(machine: Machine, version: str, release: str) -> None:
    """The tool answers, and the module was built, once and for the right kernel."""
    said = machine.succeeds("ub --version").output
    if said != f"ub {version}\n":
        raise Failed(f"ub --version says {said!r}")
    _verdict(machine.type("ub doctor"))
    _verdict(machine.type("ub doctor --json"), "this_kernel")
    said = machine.succeeds(f"bash -c {shlex.quote(_COMPLETION)}").output
    if said.split() != ["module"]:
        raise Failed(f"'ub mod' is completed as {said!r}")
    if not (machine.root / "usr/share/man/man1/ub-module.1.gz").is_file():
        raise Failed("there is no manual page ub-module(1)")
    status = machine.succeeds("dkms status").output.splitlines()
    wanted = f"ubypass/{version}, {release}, x86_64: installed"
    if [line.strip() for line in status] != [wanted]:
        raise Failed(f"dkms status says {status}")
    found = modules(machine, release)
    if [path.parent.name for path in found] != ["dkms"]:
        raise Failed(f"modules: {found}")
    said = machine.succeeds(f"modinfo -k {release} -F version ub").output
    if said != f"{version}\n":
        raise Failed(f"the module's version is {said!r}")
    units = machine.root.glob("usr/lib/systemd/system/*ubypass*")
    if [path.name for path in units] != ["ubypass.service"]:
        raise Failed("there is no unit for the service")
    if any("ubypass" in name for name in machine.units()):
        raise Failed("something is started at boot")
    _no_initramfs(machine, release)
    for place in "etc/modules-load.d", "usr/lib/modules-load.d", "etc/initramfs-tools":
        for path in (machine.root / place).rglob("*"):
            if path.is_file() and "ub" in path.read_text(errors="replace").split():
                raise Failed(f"{path} loads the module")


def _no_initramfs(machine: Machine, release: str) -> None:
    """Where a kernel is installed as well, what starts it does without the module."""
    if not (machine.root / f"boot/initrd.img-{release}").exists():
        return
    made = "/tmp/initrd"
    command = f"mkinitramfs -o {made} {release} && lsinitramfs {made} && rm {made}"
    files = machine.succeeds(command).output.splitlines()
    names = [Path(file).name for file in files]
    if not any(".ko" in name for name in names):
        raise Failed("an initramfs without any module shows nothing")
    if found := [name for name in names if name.startswith("ub.ko")]:
        raise Failed(f"the initramfs has {found[0]}")


def _verdict(done: Done, words: str = "this kernel: ") -> None:
    if done.status not in (0, 1) or words not in done.output:
        raise Failed(f"'{done.command}' gives no verdict:\n{done.output}")
    if "Traceback" in done.output or "internal error" in done.output:
        raise Failed(f"'{done.command}' fails:\n{done.output}")
