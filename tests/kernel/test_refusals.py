# SPDX-License-Identifier: GPL-2.0-only
"""Processors and boots that the module does not support are refused with one line.

So is a kernel on which a region does not do what it must: see ``kernel/selftest.c``.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_SCRIPT = """
flag=$1; shift
for each in "$@"; do
    set -- $each
    insmod "$flag" name=$2 on=$3 || exit 1
    insmod "$1"
    echo "insmod said $?, devices: $(ls /dev/ub 2>/dev/null)"
    rmmod ub 2>/dev/null
    [ ! -e /sys/kernel/debug/ub ] || echo "debugfs is left"
    rmmod ub_cpu_flag || exit 1
done
"""

_REFUSED = {
    "usual/ub.ko xenpv 1": "ub: this is a paravirtual guest of Xen (PV), which is not "
    "supported; boot it as PVH or HVM",
    "usual/ub.ko lahf_lm 0": "ub: this processor has no lahf instruction in 64-bit "
    "mode, which is required; use a newer one",
}
#: What a module whose self-test fails has in common with the right one, and what not:
#: the file, the code in it, other code, and what the kernel log says then.
_TAMPERED = {
    "count": (
        "dispatch.c",
        "EMIT(e, 0x65, 0x48, 0xff, 0x04, 0x25);",
        "EMIT(e, 0x65, 0x48, 0xff, 0x0c, 0x25);",
        "ub: the self-test (fault) has failed: the number of calls is "
        "0xfffffffffffffffd, not 0x3; ",
    ),
    "register": (
        "dispatch.c",
        "EMIT(e, 0x48, 0x8d, 0xbc, 0x24);",
        "EMIT(e, 0x48, 0x8d, 0xac, 0x24);",
        "ub: the self-test (fault) has failed: rbp is 0x",
    ),
    "fixup": (
        "fault.c",
        "region->faults[i].fixup_offset;",
        "region->faults[i].fixup_offset + 13;",  # the next exit
        "ub: the self-test (fault) has failed: the exit is 0x2, not 0x1; ",
    ),
}
_PASSED = "ub: self-test passed: "

_SERVED = ["usual/ub.ko ibt 1", "usual/ub.ko lahf_lm 1"]


@pytest.mark.guest
def test_a_processor_that_is_not_supported_is_refused_with_one_line(
    tmp_path: Path,
) -> None:
    release = kernels.default_release()
    builds = ROOT / "build/tests/refusals" / release
    flag = build_module(release, Path(__file__).parent / "cpu_flag", builds / "flag")
    build_module(release, ROOT / "kernel", builds / "usual")
    for name in _TAMPERED:
        _build_tampered(release, builds, name, tmp_path / name)
    tampered = [f"{name}/ub.ko lahf_lm 1" for name in _TAMPERED]
    cases = [f"{builds}/{case}" for case in (*_REFUSED, *tampered, *_SERVED)]
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(flag), *cases],
        replace(PATIENT, environment={"UBYPASS_CHECKOUT": "1"}),
    )
    output = result.stdout.decode()
    print(output, result.stderr.decode())
    assert result.status == 0
    assert not result.log_problems
    refused, served = "insmod said 1, devices: ", "insmod said 0, devices: /dev/ub"
    no = len(_REFUSED) + len(_TAMPERED)
    assert output.splitlines() == [refused] * no + [served] * len(_SERVED)
    for reason in _REFUSED.values():
        assert result.dmesg.count(reason) == 1
    assert result.dmesg.count("not supported") == 1
    for _, _, _, reason in _TAMPERED.values():
        assert result.dmesg.count(reason) == 1
    assert result.dmesg.count("ub: the self-test ") == len(_TAMPERED)
    assert result.dmesg.count(_PASSED) == len(_SERVED)


def _build_tampered(release: str, builds: Path, name: str, source: Path) -> None:
    """Build a module that does something else in one place."""
    file, right, wrong, _ = _TAMPERED[name]
    shutil.copytree(ROOT / "kernel", source)
    text = (source / file).read_text()
    assert text.count(right) == 1
    (source / file).write_text(text.replace(right, wrong))
    # In one place, so that only the changed file is compiled again.
    module = build_module(release, source, builds / "tampered")
    (builds / name).mkdir(exist_ok=True)
    shutil.copy(module, builds / name)
