# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import cpu

# As QEMU 7.2 prints it, and as later ones do.
_OLD = """\
Available CPUs:
x86 EPYC-Milan            (alias configured by machine type)
x86 Skylake-Server        (alias configured by machine type)
x86 max                   Enables all features supported by the accelerator

Recognized CPUID flags:
  3dnow erms fsrm
  lahf-lm smap
"""
_NEW = _OLD.replace("x86 ", "  ")


@pytest.mark.parametrize("said", [_OLD, _NEW])
def test_what_qemu_knows(said: str) -> None:
    models, features = cpu.known(said)
    assert models == ("EPYC-Milan", "Skylake-Server", "max")
    assert features == ("3dnow", "erms", "fsrm", "lahf-lm", "smap")


@pytest.mark.parametrize(
    "text",
    [
        *("max", "max,-erms", "max,+smap,-fsrm", "EPYC-Milan,erms=off", "max,-lahf_lm"),
        "max,vendor=GenuineIntel,family=6,model=85,stepping=4,smap=on",
    ],
)
def test_what_is_a_cpu(text: str) -> None:
    cpu.require(text, _OLD)


@pytest.mark.parametrize(
    ("text", "why", "way_out"),
    [
        ("skylake-server", "no CPU model 'skylake-server'", "Skylake-Server"),
        ("Pentium9", "no CPU model 'Pentium9'", "-cpu help"),
        ("", "no CPU model ''", "-cpu help"),
        ("max,-ermz", "no CPU feature 'ermz'", "erms"),
        ("max,+nosuchthing", "no CPU feature 'nosuchthing'", "-cpu help"),
        ("max,", "an empty feature", "max,-erms"),
        ("max,erms=maybe", "'erms' must be on or off, not 'maybe'", "erms=off"),
    ],
)
def test_what_is_none(text: str, why: str, way_out: str) -> None:
    with pytest.raises(UbError) as caught:
        cpu.require(text, _OLD)
    assert why in caught.value.message
    assert way_out in caught.value.hint


def test_a_qemu_that_says_nothing_is_not_contradicted() -> None:
    cpu.require("anything,-else", "")


def test_qemu_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-system-x86_64"
    program.write_text(f'#!/bin/sh\n[ "$*" = "-cpu help" ] && cat <<END\n{_OLD}END\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    cpu.require("EPYC-Milan")
    with pytest.raises(UbError, match="no CPU model 'host'"):
        cpu.require("host")


@pytest.mark.parametrize("text", ["off", "auto", "auto,nosmt", "auto;no_user_kernel"])
def test_mitigations(text: str) -> None:
    assert cpu.mitigations(text) == text


@pytest.mark.parametrize("text", ["", "none", "off nokaslr", "auto,nosmt quiet", "on"])
def test_no_mitigations(text: str) -> None:
    with pytest.raises(UbError, match="mitigations") as caught:
        cpu.mitigations(text)
    assert "auto,nosmt" in caught.value.hint
