# SPDX-License-Identifier: GPL-2.0-only
"""Vector code on a kernel for real time, where softirqs run in threads.

There the preemption count says nothing of them: see ``ub_softirqs_off()``.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernels.programs import compile_programs
from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.options import LabResult
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_SCRIPT = 'insmod "$1" && shift && exec "$@"'
_CHECKS = ("vector", "unloaded")
#: In compat.h: what differs on such a kernel, and what is there on all others.
_OTHERS = {
    "(IS_ENABLED(CONFIG_PREEMPT_RT) ? 0 : SOFTIRQ_DISABLE_OFFSET)": (
        "SOFTIRQ_DISABLE_OFFSET"
    ),
    "if (!IS_ENABLED(CONFIG_PREEMPT_RT))": "if (true)",
}

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def release() -> str:
    try:
        return kernels.default_release(flavour="rt")
    except UbError as error:
        pytest.skip(error.message)


def _vector(release: str, source: Path, name: str) -> LabResult:
    """What came of a boosted program with vector code, on the module of ``source``."""
    compile_programs()
    module = build_module(release, source, ROOT / "build/tests/real-time" / name)
    command = [sys.executable, "-m", "tests.kernels.inside", *_CHECKS]
    environment = {"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(ROOT)}
    options = replace(PATIENT, kernel=release, environment=environment)
    result = capture(["sh", "-c", _SCRIPT, "sh", str(module), *command], options)
    print(result.stdout.decode(), result.stderr.decode(), result.log_problems)
    return result


def test_vector_code_is_dispatched_without_a_complaint(release: str) -> None:
    result = _vector(release, ROOT / "kernel", "right")
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["check"] for each in said] == list(_CHECKS)
    assert all(each["good"] for each in said)
    assert not result.log_problems


def test_a_count_of_softirqs_would_be_noticed(release: str, tmp_path: Path) -> None:
    source = tmp_path / "kernel"
    shutil.copytree(ROOT / "kernel", source)
    text = (source / "compat.h").read_text()
    for right, wrong in _OTHERS.items():
        assert right in text
        text = text.replace(right, wrong)
    (source / "compat.h").write_text(text)
    assert _vector(release, source, "wrong").log_problems
