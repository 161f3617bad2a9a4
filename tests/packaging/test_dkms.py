# SPDX-License-Identifier: GPL-2.0-only
"""What dkms reads of the module: it is a script for bash, and so it is read here."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.places import ROOT

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

_SETTINGS = ROOT / "debian" / "ubypass-dkms.dkms"


def _bash(script: str, *words: str) -> str:
    command = ["bash", "-eu", "-c", script, str(_SETTINGS), *words]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={"kernel_source_dir": "/headers", "dkms_tree": "/var/lib/dkms"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("release", "built"),
    [
        ("5.10.0-32-amd64", False),
        ("6.0.0-1-amd64", False),
        ("6.1.0-56-amd64", True),
        ("6.12.118+deb13-amd64", True),
        ("7.0.1-amd64", True),
        ("7.3.4+deb13-amd64", True),
        ("10.2.0-1-amd64", True),
        ("61.0.0", True),
        ("4.6.1", False),
    ],
)
def test_it_is_built_for_kernels_from_6_1_on(release: str, built: bool) -> None:
    script = '. "$0"; if [[ $1 =~ $BUILD_EXCLUSIVE_KERNEL ]]; then echo yes; fi'
    assert _bash(script, release) == ("yes\n" if built else "")


def test_the_command_needs_headers_and_sources_alone() -> None:
    made = _bash('PACKAGE_VERSION=; . "$0"; echo "${MAKE[0]}"')
    assert made.startswith("make -C /headers M=/var/lib/dkms/ubypass/")
    assert made.endswith("/build CONFIG_DEBUG_INFO_BTF_MODULES= modules\n")


def test_what_is_built_is_the_module() -> None:
    name = _bash('. "$0"; echo "${BUILT_MODULE_NAME[0]} ${DEST_MODULE_LOCATION[0]}"')
    assert name == "ub /updates/dkms\n"
    assert "obj-m := ub.o" in (ROOT / "kernel" / "Kbuild").read_text()
