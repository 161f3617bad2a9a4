# SPDX-License-Identifier: GPL-2.0-only
"""Checks whether programs can be boosted on the running kernel.

All functions read below ``root`` (``/``), so that tests can build a machine from a few
files.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ubypass.doctor.boot import check_next_boot
from ubypass.doctor.check import Check, Scope, State
from ubypass.doctor.lockdown import check_lockdown
from ubypass.doctor.signatures import check_signatures
from ubypass.errors import UbError

__all__ = ["KernelFacts", "check_kernel"]

#: Tested kernel series: docs/kernels.md.
_TESTED = ("6.1", "6.12", "7.2", "7.3")
_OLDEST = (6, 1)
_CAP_SYS_MODULE = 16
# As kstrtobool() reads it ("rseq: Make rseq debugging enabled via static key", 6.19).
_RSEQ_CHECKED = re.compile(r"(?:^|\s)rseq_debug=(?:[1yYtT]|on)")
_HOOKED = ("__x64_sys_read", "__x64_sys_pread64", "__x64_sys_epoll_wait")


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Facts from the caller: ``uname``, the module's file, fetched headers, euid.

    ``cached_headers``: the lab's directory of headers, which may not exist.
    ``how_to_get``: the command that provides a module for a kernel. ``module_of``: path
    of the module for another kernel. ``signer``: the signer of a file (see
    `ubypass.doctor.signatures`). ``packaged_headers``: whether apt can fetch headers,
    which takes a second. ``try_build`` builds the module with the available headers and
    returns the error, if any; it is called only if there is no module yet.
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
    """All checks of this kernel, the most important first."""
    refusals = [
        *check_lockdown(root),
        check_signatures(facts.release, facts.module_file, facts.signer, root),
    ]
    yield _release(facts)
    yield _module(facts, root, refusals)
    yield _headers(facts, root)
    yield _modules_allowed(facts, root)
    yield _hooks(root)
    yield _direct_calls(facts, root)
    yield from _other_users(root)
    yield _filters(root)
    yield from _branch_tracking(facts, root)
    yield from _refused(facts, root)
    yield from _real_time(facts, root)
    yield _privilege(facts, root)
    yield from refusals
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
    return _note(name, facts.release, f"not tested; tested: {tested}")


def _module(facts: KernelFacts, root: Path, refusals: Iterable[Check]) -> Check:
    """``refusals``: checks whether the kernel would load and use it."""
    if (root / "sys/module/ub").exists():
        return _ok("module", "loaded")
    if facts.module_file.is_file():
        first = [check.name for check in refusals if check.state is State.FAIL]
        before = f"when '{first[0]}' below is ok: " if first else ""
        return _fail("module", "built, not loaded", f"{before}ub module load (as root)")
    return _fail(
        "module",
        "not built for this kernel",
        facts.how_to_get(facts.release),
    )


def _headers(facts: KernelFacts, root: Path) -> Check:
    if (root / f"lib/modules/{facts.release}/build/Makefile").is_file():
        return _buildable(facts, "installed")
    if (facts.cached_headers / "Makefile").is_file():
        return _buildable(facts, "in the cache of the lab")
    if facts.packaged_headers():
        return _note(
            "headers",
            "not installed; 'ub module build' downloads them",
            f"apt install linux-headers-{facts.release}",
        )
    found = "not installed, and apt has no package"
    if (root / "sys/module/ub").exists() or facts.module_file.is_file():
        return _note("headers", f"{found}; not needed, the module is built")
    return _fail(
        "headers",
        found,
        f"put them into /lib/modules/{facts.release}/build, or use the lab",
    )


def _buildable(facts: KernelFacts, found: str) -> Check:
    """Whether the module builds with the headers, which exist."""
    error = None if facts.module_file.is_file() else facts.try_build()
    if error is None:
        return _ok("headers", found)
    # The first line is the summary, the second the first message of the compiler.
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
        advice = "reboot; kernel.modules_disabled is 1 until then"
        return _fail(name, "loading modules is disabled", advice)
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
        return _note(name, "the configuration of the kernel was not found")
    if f"{option}=y" in config.splitlines():
        return _ok(name, "direct calls")
    return _fail(name, "no direct calls", f"use a kernel with {option}")


def _other_users(root: Path) -> Iterator[Check]:
    """System calls whose handlers have other ftrace users stay native; only root can
    see which.
    """
    functions = _read(root / "sys/kernel/tracing/enabled_functions")
    used = []
    for entry in re.split(r"\n(?=\S)", functions):
        handler = re.match(r"__x64_sys_(\w+) \((\d+)\)", entry)
        # The module's own use is one direct call; any other user raises the count.
        if handler and not (handler[2] == "1" and "ub_trampoline" in entry):
            used.append(handler[1])
    if used:
        shown = ", ".join(used[:5]) + (", ..." if used[5:] else "")
        advice = "calls hooked by tracers, livepatches or BPF programs stay native"
        yield _note("handlers", f"handlers in use by others: {shown}", advice)


def _filters(root: Path) -> Check:
    """Whether the kernel has BTF, the only source of the layout of seccomp_filter."""
    name = "seccomp"
    if (root / "sys/kernel/btf/vmlinux").exists():
        return _ok(name, "programs with a filter can be boosted")
    return _note(
        name,
        "the kernel has no type information (BTF)",
        "without CONFIG_DEBUG_INFO_BTF programs with a filter stay native",
    )


def _branch_tracking(facts: KernelFacts, root: Path) -> Iterator[Check]:
    """That the kernel uses indirect branch tracking; many processors have it."""
    if "ibt" not in _flags(root):
        return
    if "ibt=off" in _read(root / "proc/cmdline").split():
        return
    if "CONFIG_X86_KERNEL_IBT=y" in (_config(facts, root) or "").splitlines():
        found = "the kernel runs with indirect branch tracking (IBT): supported"
        yield _ok("branches", found)


def _refused(facts: KernelFacts, root: Path) -> Iterator[Check]:
    """Other features that the module refuses, as listed in kernel/check.c."""
    # The kernel hides the flag if FRED is not in use.
    if "fred" in _flags(root):
        advice = "not supported; boot with fred=off"
        yield _fail("entry", "the kernel runs with FRED: exact, not boosted", advice)
    if _RSEQ_CHECKED.search(_read(root / "proc/cmdline")):
        # The module cannot see this; a kernel built that way it refuses.
        found = "the kernel checks rseq critical sections, and kills programs for calls"
        yield _fail(
            "rseq", f"{found} in them", "not supported; boot without rseq_debug"
        )
    if _read(root / "sys/hypervisor/guest_type").strip() == "PV":
        advice = "not supported; boot it as PVH or HVM"
        yield _fail("hypervisor", "a paravirtual guest of Xen (PV)", advice)
    config = (_config(facts, root) or "").splitlines()
    if {"CONFIG_CFI_CLANG=y", "CONFIG_CFI=y"}.intersection(config):
        advice = "not supported; boot a kernel without CONFIG_CFI_CLANG"
        yield _fail("control flow", "the kernel is built with kCFI", advice)


def _real_time(facts: KernelFacts, root: Path) -> Iterator[Check]:
    """That segments are short by default, as in kernel/tunables.c."""
    if "CONFIG_PREEMPT_RT=y" in (_config(facts, root) or "").splitlines():
        yield _note(
            "preemption",
            "a real-time kernel (PREEMPT_RT)",
            "code between two calls ends in user mode after 512 instructions; "
            "--tune budget=N allows more",
        )


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
    flags = _flags(root)
    if not flags:
        return _note("processor", "the features cannot be read")
    if "lahf_lm" not in flags:
        advice = (
            "processors since 2006 have it; enable it for a virtual one (-cpu host)"
        )
        return _fail("processor", "no lahf instruction in 64-bit mode", advice)
    lacking = [flag for flag in ("smap", "fsgsbase", "bmi2") if flag not in flags]
    found = f"lacks {', '.join(lacking)}" if lacking else "smap, fsgsbase, bmi2"
    if "user_shstk" in flags:
        found += "; has user shadow stacks (programs that use them stay native)"
    return _ok("processor", found)


def _isolation(root: Path) -> Check:
    # Not sysfs's file about Meltdown: with pti=on isolation is on, too, where that says
    # that the processor is not affected.
    flags = _flags(root)
    if not flags:
        return _note("isolation", "page-table isolation: unknown")
    if "pti" in flags:
        return _ok("isolation", "page-table isolation on: system calls cost more")
    return _ok("isolation", "page-table isolation off")


def _flags(root: Path) -> set[str]:
    """Features of the processor and what the kernel uses; empty if unknown."""
    match = re.search(r"^flags\s*:(.*)$", _read(root / "proc/cpuinfo"), re.M)
    return set(match[1].split()) if match else set()


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
