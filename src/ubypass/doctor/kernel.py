# SPDX-License-Identifier: GPL-2.0-only
"""Can programs be boosted on the kernel that runs here?

Every function looks below ``root`` (``/``), so that tests can build a machine out
of a few files.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ubypass.doctor.boot import check_next_boot
from ubypass.doctor.check import Check, Scope, State
from ubypass.doctor.signatures import check_signatures
from ubypass.errors import UbError

__all__ = ["KernelFacts", "check_kernel"]

#: Series of kernels that were tried: docs/kernels.md.
_TESTED = ("6.1", "6.12", "7.2", "7.3")
_OLDEST = (6, 1)
_CAP_SYS_MODULE = 16
_HOOKED = ("__x64_sys_read", "__x64_sys_pread64", "__x64_sys_epoll_wait")


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What the caller knows: ``uname``, the module's file, fetched headers, euid.

    ``cached_headers`` is where the lab keeps them, whether they are there or not;
    ``how_to_get`` says what to type where a kernel has no module, ``module_of`` where
    that of another kernel is, and ``signer`` who has signed a file (see
    `ubypass.doctor.signatures`). ``packaged_headers`` asks apt, which takes a second,
    whether it could fetch headers. ``try_build`` builds the module with what headers
    there are, and returns what went wrong; it is asked only if there is no module yet.
    """

    release: str
    machine: str
    module_file: Path
    cached_headers: Path
    euid: int
    how_to_get: Callable[[str], str] = "ub module build --kernel {}".format
    module_of: Callable[[str], Path] = lambda release: Path(os.devnull)
    signer: Callable[[Path], str | None] = lambda file: None
    packaged_headers: Callable[[], bool] = lambda: True
    try_build: Callable[[], UbError | None] = lambda: None


def check_kernel(facts: KernelFacts, root: Path = Path("/")) -> Iterator[Check]:
    """All checks of this kernel, in the order in which they matter."""
    yield _release(facts)
    yield _module(facts, root)
    yield _headers(facts, root)
    yield _modules_allowed(facts, root)
    yield _hooks(root)
    yield _direct_calls(facts, root)
    yield from _other_users(root)
    yield _filters(root)
    yield from _branch_tracking(facts, root)
    yield from _refused(facts, root)
    yield _privilege(facts, root)
    yield check_signatures(facts.release, facts.module_file, facts.signer, root)
    yield from check_next_boot(facts.release, facts.module_of, facts.how_to_get, root)
    yield _processor(root)
    yield _isolation(root)


def _release(facts: KernelFacts) -> Check:
    name = "kernel"
    if facts.machine != "x86_64":
        advice = "only x86-64 is supported"
        return _fail(name, f"{facts.release} on {facts.machine}", advice)
    match = re.match(r"(\d+)\.(\d+)", facts.release)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < _OLDEST:
        return _fail(name, facts.release, "6.1 or newer is needed")
    if f"{version[0]}.{version[1]}" in _TESTED:
        return _ok(name, facts.release)
    tested = ", ".join(_TESTED)
    return _note(name, facts.release, f"not tested; tested are {tested}")


def _module(facts: KernelFacts, root: Path) -> Check:
    if (root / "sys/module/ub").exists():
        return _ok("module", "loaded")
    if facts.module_file.is_file():
        return _fail("module", "built, not loaded", "ub module load (as root)")
    return _fail(
        "module",
        "not built for this kernel",
        facts.how_to_get(facts.release),
    )


def _headers(facts: KernelFacts, root: Path) -> Check:
    if (root / f"lib/modules/{facts.release}/build/Makefile").is_file():
        return _buildable(facts, "installed")
    if (facts.cached_headers / "Makefile").is_file():
        return _buildable(facts, "in the lab's cache")
    if facts.packaged_headers():
        return _note(
            "headers",
            "not installed; building the module fetches them",
            f"apt install linux-headers-{facts.release}",
        )
    found = "not installed, and apt has no package of them"
    if (root / "sys/module/ub").exists() or facts.module_file.is_file():
        return _note("headers", f"{found}; the module is built already")
    return _fail(
        "headers",
        found,
        f"they belong in /lib/modules/{facts.release}/build; or use the lab",
    )


def _buildable(facts: KernelFacts, found: str) -> Check:
    """The headers are there; does the module build with them?"""
    error = None if facts.module_file.is_file() else facts.try_build()
    if error is None:
        return _ok("headers", found)
    # The first line says what, the second where the compiler saw it first.
    why = " ".join(error.message.splitlines()[:2])
    return _fail("headers", f"{found}, but {why}", error.hint)


def _modules_allowed(facts: KernelFacts, root: Path) -> Check:
    name, lab = "loading", "use the lab: ub lab run -- COMMAND"
    if (root / "sys/module/ub").exists():
        return _ok(name, "the module is loaded")
    config = _config(facts, root)
    if config is not None and "CONFIG_MODULES=y" not in config.splitlines():
        return _fail(name, "this kernel is built without modules", lab)
    if _read(root / "proc/sys/kernel/modules_disabled").strip() == "1":
        advice = "kernel.modules_disabled is 1 until the next boot"
        return _fail(name, "loading modules has been turned off", advice)
    return _ok(name, "this kernel loads modules")


def _hooks(root: Path) -> Check:
    text = _read(root / "proc/kallsyms")
    if not text:
        return _note("hooks", "kernel symbols cannot be read", "run as root")
    missing = [
        name for name in _HOOKED if not re.search(rf"\b{name}$", text, re.MULTILINE)
    ]
    if missing:
        return _fail("hooks", f"no {missing[0]}", "this kernel cannot be hooked")
    return _ok("hooks", "system call handlers found")


def _direct_calls(facts: KernelFacts, root: Path) -> Check:
    name, option = "ftrace", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"
    config = _config(facts, root)
    if config is None:
        return _note(name, "the kernel's configuration is not to be found")
    if f"{option}=y" in config.splitlines():
        return _ok(name, "direct calls")
    return _fail(name, "no direct calls", f"a kernel with {option} is needed")


def _other_users(root: Path) -> Iterator[Check]:
    """Handlers that others use stay native; only root can see which."""
    functions = _read(root / "sys/kernel/tracing/enabled_functions")
    used = []
    for entry in re.split(r"\n(?=\S)", functions):
        handler = re.match(r"__x64_sys_(\w+) \((\d+)\)", entry)
        # Ours is one direct call; who comes besides is counted as well.
        if handler and not (handler[2] == "1" and "ub_trampoline" in entry):
            used.append(handler[1])
    if used:
        shown = ", ".join(used[:5]) + (", ..." if used[5:] else "")
        advice = "calls that tracers, livepatches or BPF programs use stay native"
        yield _note("handlers", f"others use those of {shown}", advice)


def _filters(root: Path) -> Check:
    """Where struct seccomp_filter has its programs, only the kernel's BTF says."""
    name = "seccomp"
    if (root / "sys/kernel/btf/vmlinux").exists():
        return _ok(name, "programs under a filter can be boosted")
    return _note(
        name,
        "the kernel does not describe its types (BTF)",
        "programs under a filter stay native without CONFIG_DEBUG_INFO_BTF",
    )


def _branch_tracking(facts: KernelFacts, root: Path) -> Iterator[Check]:
    """Many processors have it; what counts is whether the kernel uses it."""
    name = "branches"
    flags = re.search(r"^flags\s*:(.*)$", _read(root / "proc/cpuinfo"), re.M)
    if not flags or "ibt" not in flags[1].split():
        return
    if "ibt=off" in _read(root / "proc/cmdline").split():
        return
    config = _config(facts, root)
    if config is None:
        found = "the kernel may run with indirect branch tracking (IBT)"
        yield _note(name, found, "if the module refuses to load: boot with ibt=off")
    elif "CONFIG_X86_KERNEL_IBT=y" in config.splitlines():
        found = "the kernel runs with indirect branch tracking (IBT)"
        yield _fail(name, found, "it is not supported; boot with ibt=off")


def _refused(facts: KernelFacts, root: Path) -> Iterator[Check]:
    """What else the module does not load on: kernel/check.c has the list."""
    flags = re.search(r"^flags\s*:(.*)$", _read(root / "proc/cpuinfo"), re.M)
    # The kernel hides the flag if it does not use it.
    if flags and "fred" in flags[1].split():
        advice = "it is not supported; boot with fred=off"
        yield _fail("entry", "the kernel runs with FRED", advice)
    if _read(root / "sys/hypervisor/guest_type").strip() == "PV":
        advice = "it is not supported; boot it as PVH or HVM"
        yield _fail("hypervisor", "a paravirtual guest of Xen (PV)", advice)
    config = (_config(facts, root) or "").splitlines()
    if "CONFIG_PREEMPT_RT=y" in config:
        advice = "it is not supported; boot an ordinary one"
        yield _fail("preemption", "a kernel for real time (PREEMPT_RT)", advice)
    if {"CONFIG_CFI_CLANG=y", "CONFIG_CFI=y"}.intersection(config):
        advice = "it is not supported; boot one that is built without"
        yield _fail("control flow", "the kernel is built with kCFI", advice)


def _config(facts: KernelFacts, root: Path) -> str | None:
    try:
        with gzip.open(root / "proc/config.gz", "rt") as file:
            return file.read()
    except OSError:
        pass
    for place in (
        f"boot/config-{facts.release}",
        f"lib/modules/{facts.release}/config",
        f"lib/modules/{facts.release}/build/.config",
    ):
        if text := _read(root / place):
            return text
    return _read(facts.cached_headers / ".config") or None


def _privilege(facts: KernelFacts, root: Path) -> Check:
    name = "privilege"
    match = re.search(r"^CapBnd:\s*(\w+)", _read(root / "proc/self/status"), re.M)
    if match and not int(match[1], 16) >> _CAP_SYS_MODULE & 1:
        return _fail(
            name,
            "this container cannot load modules",
            "run on the host, or use the lab: ub lab run -- COMMAND",
        )
    if facts.euid != 0:
        return _note(name, "not root", "loading and boosting need root")
    return _ok(name, "root")


def _processor(root: Path) -> Check:
    match = re.search(r"^flags\s*:(.*)$", _read(root / "proc/cpuinfo"), re.M)
    flags = set(match[1].split()) if match else set()
    if not flags:
        return _note("processor", "its features cannot be read")
    if "lahf_lm" not in flags:
        advice = "all processors since 2006 have it; a virtual one may have to be told"
        return _fail("processor", "no lahf in 64-bit mode", advice)
    lacking = [flag for flag in ("smap", "fsgsbase", "bmi2") if flag not in flags]
    found = f"lacks {', '.join(lacking)}" if lacking else "smap, fsgsbase, bmi2"
    if "user_shstk" in flags:
        found += "; has user shadow stacks (programs that use them stay native)"
    return _ok("processor", found)


def _isolation(root: Path) -> Check:
    text = _read(root / "sys/devices/system/cpu/vulnerabilities/meltdown").strip()
    if not text:
        return _note("isolation", "page-table isolation: unknown")
    if "PTI" in text:
        return _ok("isolation", "page-table isolation on: system calls cost more")
    return _ok("isolation", "page-table isolation off")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _ok(name: str, found: str) -> Check:
    return Check(Scope.KERNEL, name, State.OK, found)


def _note(name: str, found: str, advice: str = "") -> Check:
    return Check(Scope.KERNEL, name, State.NOTE, found, advice)


def _fail(name: str, found: str, advice: str) -> Check:
    return Check(Scope.KERNEL, name, State.FAIL, found, advice)
