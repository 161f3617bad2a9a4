# SPDX-License-Identifier: GPL-2.0-only
"""Processors and boots that the module does not support are refused with one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module

#: As the kernel builds modules where CONFIG_X86_KERNEL_IBT is on; Debian's 6.1 has it
#: off, and there the processor's flag is not looked at.
_TRACKING = "-DCONFIG_X86_KERNEL_IBT=1 -fcf-protection=branch -fno-jump-tables"

_SCRIPT = """
flag=$1; shift
for each in "$@"; do
    set -- $each
    insmod "$flag" name=$2 on=$3 || exit 1
    insmod "$1"
    echo "insmod said $?, devices: $(ls /dev/ub 2>/dev/null)"
    rmmod ub 2>/dev/null
    rmmod ub_cpu_flag || exit 1
done
"""

_REFUSED = {
    "tracking/ub.ko ibt 1": "ub: this kernel runs with indirect branch tracking (IBT), "
    "which is not supported; boot with ibt=off",
    "usual/ub.ko xenpv 1": "ub: this is a paravirtual guest of Xen (PV), which is not "
    "supported; boot it as PVH or HVM",
    "usual/ub.ko lahf_lm 0": "ub: this processor has no lahf instruction in 64-bit "
    "mode, which is required; use a newer one",
}
_SERVED = ["usual/ub.ko ibt 1", "tracking/ub.ko ibt 0", "usual/ub.ko lahf_lm 1"]


@pytest.mark.guest
def test_a_processor_that_is_not_supported_is_refused_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = kernels.default_release()
    builds = ROOT / "build/tests/refusals" / release
    flag = build_module(release, Path(__file__).parent / "cpu_flag", builds / "flag")
    build_module(release, ROOT / "kernel", builds / "usual")
    with monkeypatch.context() as patch:
        patch.setenv("KCFLAGS", _TRACKING)
        build_module(release, ROOT / "kernel", builds / "tracking")
    cases = [f"{builds}/{case}" for case in (*_REFUSED, *_SERVED)]
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(flag), *cases],
        replace(PATIENT, environment={"UBYPASS_CHECKOUT": "1"}),
    )
    output = result.stdout.decode()
    print(output, result.stderr.decode())
    assert result.status == 0
    assert not result.log_problems
    refused, served = "insmod said 1, devices: ", "insmod said 0, devices: /dev/ub"
    assert output.splitlines() == [refused] * len(_REFUSED) + [served] * len(_SERVED)
    for reason in _REFUSED.values():
        assert result.dmesg.count(reason) == 1
    assert result.dmesg.count("not supported") == 2
