# SPDX-License-Identifier: GPL-2.0-only
"""Checks of a kernel, on machines made of a few files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ubypass.doctor.check import Check, State
from ubypass.doctor.kernel import KernelFacts, check_kernel
from ubypass.errors import UbError

_FACTS = KernelFacts(
    "6.1.0-56-amd64", "x86_64", Path("/nowhere/ub.ko"), Path("/nowhere"), 0
)

_MACHINE = {
    "sys/module/ub/x": "",
    "lib/modules/6.1.0-56-amd64/build/Makefile": "",
    "proc/kallsyms": "0 T __x64_sys_read\n0 T __x64_sys_pread64\n"
    "0 T __x64_sys_epoll_wait\n",
    "boot/config-6.1.0-56-amd64": "CONFIG_MODULES=y\n"
    "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y\n",
    "proc/self/status": "CapBnd:\t000001ffffffffff\n",
    "proc/cpuinfo": "flags\t\t: fpu lahf_lm smap fsgsbase bmi2\n",
    "sys/kernel/btf/vmlinux": "",
    "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
}


def _look(
    root: Path, changes: dict[str, str | None] | None = None, **facts: object
) -> dict[str, Check]:
    for path, text in {**_MACHINE, **(changes or {})}.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    checks = check_kernel(replace(_FACTS, **facts), root)  # type: ignore[arg-type]
    return {check.name: check for check in checks}


def test_a_good_machine_is_all_ok(tmp_path: Path) -> None:
    checks = _look(tmp_path)
    assert {check.state for check in checks.values()} == {State.OK}


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ("5.10.0-32-amd64", State.FAIL),
        ("6.1.0-56-amd64", State.OK),
        ("6.12.107+deb13-amd64", State.OK),
        ("7.3.4+deb13-amd64", State.OK),
        ("7.30.1-amd64", State.NOTE),
        ("6.5.0-1-amd64", State.NOTE),
        ("4.19.0-1-amd64", State.FAIL),
        ("strange", State.FAIL),
    ],
)
def test_kernels(tmp_path: Path, release: str, state: State) -> None:
    assert _look(tmp_path, release=release)["kernel"].state is state


def test_other_processors(tmp_path: Path) -> None:
    assert _look(tmp_path, machine="aarch64")["kernel"].state is State.FAIL


def test_a_module_that_is_not_loaded_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "ub.ko"
    checks = _look(tmp_path, {"sys/module/ub/x": None}, module_file=file)
    assert checks["module"].state is State.FAIL
    assert "ub module build" in checks["module"].advice
    file.write_bytes(b"")
    checks = _look(tmp_path, {"sys/module/ub/x": None}, module_file=file)
    assert checks["module"].advice == "ub module load (as root)"


@pytest.mark.parametrize(
    ("path", "text", "first"),
    [
        ("sys/kernel/security/lockdown", "none [integrity]\n", "lockdown"),
        ("sys/module/module/parameters/sig_enforce", "Y\n", "signatures"),
    ],
)
def test_a_module_that_would_be_refused_is_not_to_be_loaded_yet(
    tmp_path: Path, path: str, text: str, first: str
) -> None:
    file = tmp_path / "ub.ko"
    file.write_bytes(b"")
    files = {"sys/module/ub/x": None, path: text}
    found = _look(tmp_path, files, module_file=file, signer=lambda file: "")
    assert found["module"].state is State.FAIL
    assert found["module"].advice.startswith(f"when '{first}' below is ok: ub module")
    assert found[first].state is State.FAIL


def test_headers(tmp_path: Path) -> None:
    path = "lib/modules/6.1.0-56-amd64/build/Makefile"
    assert _look(tmp_path, {path: None})["headers"].state is State.NOTE
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "Makefile").write_text("")
    cached = _look(tmp_path, {path: None}, cached_headers=cache)["headers"]
    assert cached.state is State.OK


def test_headers_with_which_the_module_does_not_build(tmp_path: Path) -> None:
    asked = []

    def fails() -> UbError:
        asked.append(1)
        return UbError(
            "the kernel module does not build:\na.c:1: error: no\nb", "log: x"
        )

    file = tmp_path / "ub.ko"
    check = _look(tmp_path, try_build=fails, module_file=file)["headers"]
    assert check.state is State.FAIL
    assert check.found.endswith("the kernel module does not build: a.c:1: error: no")
    assert check.advice == "log: x"
    # Not if it is there, or if there is nothing to build it with.
    file.write_bytes(b"")
    built = _look(tmp_path, try_build=fails, module_file=file)["headers"]
    assert built.state is State.OK
    (tmp_path / "lib/modules/6.1.0-56-amd64/build/Makefile").unlink()
    path = "lib/modules/6.1.0-56-amd64/build/Makefile"
    lacking = _look(tmp_path, {path: None}, try_build=fails)["headers"]
    assert lacking.state is State.NOTE
    assert len(asked) == 1


def test_filters_need_a_kernel_that_describes_itself(tmp_path: Path) -> None:
    check = _look(tmp_path, {"sys/kernel/btf/vmlinux": None})["seccomp"]
    assert check.state is State.NOTE
    assert "stay native" in check.advice


_IBT_CPU = {"proc/cpuinfo": "flags\t\t: fpu lahf_lm smap fsgsbase bmi2 ibt\n"}
_IBT_KERNEL = {
    "boot/config-6.1.0-56-amd64": "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y\n"
    "CONFIG_X86_KERNEL_IBT=y\n"
}


def test_branch_tracking_is_shown_if_the_kernel_uses_it(tmp_path: Path) -> None:
    assert "branches" not in _look(tmp_path / "a", dict(_IBT_CPU))
    assert "branches" not in _look(tmp_path / "b", dict(_IBT_KERNEL))
    both: dict[str, str | None] = {**_IBT_CPU, **_IBT_KERNEL}
    check = _look(tmp_path / "c", {**both, "proc/cmdline": "quiet ro\n"})["branches"]
    assert check.state is State.OK
    assert "supported" in check.found
    off = {**both, "proc/cmdline": "quiet ibt=off ro\n"}
    assert "branches" not in _look(tmp_path / "d", off)
    unknown = {**both, "boot/config-6.1.0-56-amd64": None}
    assert "branches" not in _look(tmp_path / "e", unknown)


_CONFIG = "boot/config-6.1.0-56-amd64"
_DIRECT = "CONFIG_MODULES=y\nCONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y\n"


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("proc/cpuinfo", "flags\t\t: fpu lahf_lm smap fsgsbase bmi2 fred\n", "entry"),
        ("sys/hypervisor/guest_type", "PV\n", "hypervisor"),
        ("proc/cmdline", "root=/dev/sda1 rseq_debug=1 quiet\n", "rseq"),
        (_CONFIG, f"{_DIRECT}CONFIG_CFI_CLANG=y\n", "control flow"),
        (_CONFIG, f"{_DIRECT}CONFIG_CFI=y\n", "control flow"),
    ],
)
def test_kernels_that_the_module_refuses(
    tmp_path: Path, path: str, text: str, name: str
) -> None:
    check = _look(tmp_path / "a", {path: text})[name]
    assert check.state is State.FAIL
    assert check.advice.startswith("not supported; boot")
    usual = {
        "sys/hypervisor/guest_type": "PVH\n",
        "proc/cmdline": "root=/dev/sda1 rseq_debug=0 quiet\n",
        _CONFIG: f"{_DIRECT}CONFIG_PREEMPT_RT=y\n# CONFIG_CFI is not set\n",
    }
    assert name not in _look(tmp_path / "b", dict(usual))


def test_a_real_time_kernel_has_short_segments(tmp_path: Path) -> None:
    real_time = {_CONFIG: f"{_DIRECT}CONFIG_PREEMPT_RT=y\n"}
    check = _look(tmp_path / "a", real_time)["preemption"]
    assert check.state is State.NOTE
    assert "after 512 instructions" in check.advice
    tunables = (Path(__file__).parents[2] / "kernel/tunables.c").read_text()
    assert "IS_ENABLED(CONFIG_PREEMPT_RT) ? 512 :" in tunables
    others = {_CONFIG: f"{_DIRECT}# CONFIG_PREEMPT_RT is not set\n"}
    assert "preemption" not in _look(tmp_path / "b", others)


_USERS = "sys/kernel/tracing/enabled_functions"
_OURS = (
    "__x64_sys_read (1)           \tD  \ttramp: ftrace_regs_caller+0x0/0x79 "
    "(call_direct_funcs+0x0/0x20)\n\tdirect-->ub_trampoline+0x0/0x90 [ub]\n"
)


def test_handlers_that_others_use(tmp_path: Path) -> None:
    assert "handlers" not in _look(tmp_path / "a", {_USERS: _OURS})
    theirs = _OURS.replace("ub_trampoline", "bpf_trampoline_1")
    shared = _OURS.replace("read (1)", "futex (2)")
    kernel = "vfs_read (1) R I \ttramp: 0xffffffffc0000000 (f+0x0/0x2)->g+0x0/0x1\n"
    text = kernel + theirs + _OURS.replace("read", "write") + shared
    check = _look(tmp_path / "b", {_USERS: text})["handlers"]
    assert check.state is State.NOTE
    assert check.found == "handlers in use by others: read, futex"


def test_fetched_headers_know_the_configuration(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    option = "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y\n"
    (cache / ".config").write_text(option)
    missing: dict[str, str | None] = {"boot/config-6.1.0-56-amd64": None}
    assert _look(tmp_path, missing, cached_headers=cache)["ftrace"].state is State.OK


@pytest.mark.parametrize(
    ("path", "text", "name", "state"),
    [
        ("proc/kallsyms", "0 T __x64_sys_read\n", "hooks", State.FAIL),
        ("proc/kallsyms", "0 T __x64_sys_readx\n", "hooks", State.FAIL),
        ("proc/kallsyms", None, "hooks", State.NOTE),
        (
            "boot/config-6.1.0-56-amd64",
            "# CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS is not set\n",
            "ftrace",
            State.FAIL,
        ),
        ("boot/config-6.1.0-56-amd64", None, "ftrace", State.NOTE),
        ("proc/self/status", "CapBnd:\t00000000a80425fb\n", "privilege", State.FAIL),
        (
            "sys/kernel/security/lockdown",
            "none [integrity] confidentiality\n",
            "lockdown",
            State.FAIL,
        ),
        ("sys/module/module/parameters/sig_enforce", "Y\n", "signatures", State.FAIL),
        ("sys/module/module/parameters/sig_enforce", "N\n", "signatures", State.OK),
        ("proc/cpuinfo", None, "processor", State.NOTE),
        ("proc/cpuinfo", None, "isolation", State.NOTE),
    ],
)
def test_what_may_be_wrong(
    tmp_path: Path, path: str, text: str | None, name: str, state: State
) -> None:
    assert _look(tmp_path, {path: text})[name].state is state


def test_isolation_is_what_the_kernel_does(tmp_path: Path) -> None:
    """Whatever sysfs says of Meltdown: pti=on is for other processors, too."""
    file = "sys/devices/system/cpu/vulnerabilities/meltdown"
    flags = _MACHINE["proc/cpuinfo"]
    off = _look(tmp_path, {file: "Mitigation: PTI\n"})
    assert off["isolation"].found == "page-table isolation off"
    on = _look(
        tmp_path, {file: "Not affected\n", "proc/cpuinfo": f"{flags.strip()} pti\n"}
    )
    assert on["isolation"].found.startswith("page-table isolation on")


def test_secure_boot_alone_is_only_a_note(tmp_path: Path) -> None:
    folder = tmp_path / "sys/firmware/efi/efivars"
    folder.mkdir(parents=True)
    (folder / "SecureBoot-8be4df61").write_bytes(b"\x06\0\0\0\x01")
    assert _look(tmp_path)["signatures"].state is State.NOTE
    (folder / "SecureBoot-8be4df61").write_bytes(b"\x06\0\0\0\x00")
    assert _look(tmp_path)["signatures"].state is State.OK


def test_without_root_it_is_said(tmp_path: Path) -> None:
    assert _look(tmp_path, euid=1000)["privilege"].state is State.NOTE


def test_what_a_processor_lacks_is_named(tmp_path: Path) -> None:
    checks = _look(tmp_path, {"proc/cpuinfo": "flags : lahf_lm smap user_shstk\n"})
    assert "lacks fsgsbase, bmi2" in checks["processor"].found
    assert "shadow stacks" in checks["processor"].found


def test_a_processor_that_is_too_old_is_named(tmp_path: Path) -> None:
    checks = _look(tmp_path, {"proc/cpuinfo": "flags : fpu smap\n"})
    assert checks["processor"].state is State.FAIL
    assert "lahf" in checks["processor"].found


_UNLOADED: dict[str, str | None] = {
    "sys/module/ub/x": None,
    "lib/modules/6.1.0-56-amd64/build/Makefile": None,
}


def test_headers_that_no_package_has_are_not_advised(tmp_path: Path) -> None:
    checks = _look(tmp_path, _UNLOADED, packaged_headers=lambda: False)
    assert checks["headers"].state is State.FAIL
    assert "apt install" not in checks["headers"].advice
    checks = _look(tmp_path, _UNLOADED, packaged_headers=lambda: True)
    assert checks["headers"].advice == "apt install linux-headers-6.1.0-56-amd64"


def test_headers_are_not_needed_any_more_once_the_module_is_built(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ub.ko"
    file.touch()
    checks = _look(
        tmp_path, _UNLOADED, packaged_headers=lambda: False, module_file=file
    )
    assert checks["headers"].state is State.NOTE


def test_a_kernel_without_modules(tmp_path: Path) -> None:
    changes = {**_UNLOADED, "boot/config-6.1.0-56-amd64": "# CONFIG_MODULES is not set"}
    check = _look(tmp_path, changes)["loading"]
    assert check.state is State.FAIL
    assert "without modules" in check.found
    assert "lab" in check.advice


def test_modules_that_were_turned_off(tmp_path: Path) -> None:
    disabled: dict[str, str | None] = {"proc/sys/kernel/modules_disabled": "1\n"}
    assert _look(tmp_path, disabled)["loading"].state is State.OK  # loaded already
    check = _look(tmp_path / "other", {**_UNLOADED, **disabled})["loading"]
    assert check.state is State.FAIL
    assert "modules is disabled" in check.found
