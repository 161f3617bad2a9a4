# SPDX-License-Identifier: GPL-2.0-only
"""What is typed on the machine, boot after boot, and what has to come of it.

The order of an operator who knows nothing: everything that `ub doctor` says is tried,
and what it says to type is typed as it stands (``do NAME``, see
`tests.secureboot.inside`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.secureboot import mokmanager
from tests.secureboot.inside import DOCTOR, Said
from ubypass.lab.qemu import Machine

__all__ = ["BOOTS", "Boot", "Step", "judge"]


@dataclass(frozen=True)
class Step:
    """A command, its status, and what it has to say, or must not."""

    typed: str
    status: int
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Boot:
    """``parameters`` of the kernel; ``then``: what is confirmed after the steps."""

    name: str
    steps: tuple[Step, ...]
    parameters: tuple[str, ...] = ()
    then: Callable[[Machine], None] | None = None


_CERTIFICATE = "/var/lib/dkms/mok.pub"
_LOCKED = "lockdown fail integrity, by Secure Boot: programs stay native"
_UNLOCK = "mokutil --disable-validation; reboot"
_REMOVE = "remove module.sig_enforce from the kernel command line"
_LOAD = "ub module load"
_TESTED = "ub: self-test passed"
_REQUIRED = "the kernel requires signed modules"
_REFUSED = Step(_LOAD, 1, (_REQUIRED, "ub doctor"))
_LOADED = (
    Step(_LOAD, 0, ("loaded ",)),
    Step("dmesg | grep ub:", 0, (_TESTED,)),
)
_SIGN = (
    'cd build/kernel/$(uname -r) && "/lib/modules/$(uname -r)/build/scripts/sign-file" '
    f"sha256 /var/lib/dkms/mok.key {_CERTIFICATE} ub.ko"
)
_BOOSTED = (
    *_LOADED,
    Step(DOCTOR, 0, ("module ok loaded",), ("lockdown",)),
    Step("ub selftest", 0, ("passed: ", "all bytes correct")),
    Step("ub module unload", 0),
)
_CHECKS_OFF = Step(
    "cat /sys/kernel/security/lockdown; mokutil --sb-state",
    0,
    ("[none]", "SecureBoot enabled", "validation is disabled in shim"),
)

BOOTS = (
    Boot(
        "Secure Boot, as installed",
        (
            Step(
                "cat /sys/kernel/security/lockdown; mokutil --sb-state",
                0,
                ("[integrity]", "SecureBoot enabled"),
                ("validation is disabled",),
            ),
            Step(
                "ub doctor",
                1,
                (
                    "this kernel: not ready",
                    "when 'lockdown' below is ok: ub module load",
                    "integrity, by Secure Boot: programs stay native",
                    f"→ {_UNLOCK}",
                    "the module ub is not signed",
                ),
                ("sign-file", "mokutil --import"),
            ),
            Step(
                DOCTOR,
                1,
                (_LOCKED, _UNLOCK, "signatures note", "the module ub is not signed"),
            ),
            _REFUSED,
            Step(_SIGN, 0),
            Step(
                DOCTOR,
                1,
                (
                    *(_LOCKED, "signatures note"),
                    "signed by 'DKMS module signing key', whose key the kernel has not",
                ),
                ("not signed",),
            ),
            _REFUSED,
            Step(f"mokutil --import {_CERTIFICATE}", 0),
        ),
        then=mokmanager.enrol,
    ),
    Boot(
        "Secure Boot, the key is enrolled",
        (
            Step(f"mokutil --test-key {_CERTIFICATE}", 1, ("is already enrolled",)),
            _REFUSED,
            Step(_SIGN, 0),
            Step(
                DOCTOR,
                1,
                (
                    _LOCKED,
                    "signatures ok",
                    "by 'DKMS module signing key'; the kernel has a key of this name",
                ),
            ),
            *_LOADED,
            Step(DOCTOR, 1, (_LOCKED, _UNLOCK, "module ok loaded")),
            Step("ub selftest", 1, ("the kernel is locked down", "ub doctor")),
            Step("ub run -- echo native", 1, ("the kernel is locked down",)),
            Step("ub module unload", 0),
            Step("do lockdown", 0),
        ),
        then=mokmanager.change_state,
    ),
    Boot(
        "without shim's checks",
        (
            _CHECKS_OFF,
            Step(DOCTOR, 1, ("modules need no signature",), ("lockdown",)),
            *_BOOSTED,
        ),
    ),
    # The kernel ignores enrolled keys then; the boot before has shown what helps.
    Boot(
        "without shim's checks, module.sig_enforce",
        (
            _CHECKS_OFF,
            Step(
                DOCTOR,
                1,
                ("signatures fail", "the module ub is not signed", _REMOVE),
                ("sign-file", "mokutil"),
            ),
            _REFUSED,
            Step(f"mokutil --test-key {_CERTIFICATE}", 1, ("is already enrolled",)),
            Step(_SIGN, 0),
            Step(
                DOCTOR,
                1,
                (
                    "when 'signatures' below is ok: ub module load",
                    "'DKMS module signing key', whose key the kernel has not",
                    _REMOVE,
                ),
                ("mokutil",),
            ),
            _REFUSED,
            Step("mokutil --enable-validation", 0),
        ),
        parameters=("module.sig_enforce=1",),
        then=mokmanager.change_state,
    ),
    Boot(
        "Secure Boot, as before",
        (
            Step(
                "cat /sys/kernel/security/lockdown; mokutil --sb-state",
                0,
                ("[integrity]",),
                ("validation is disabled",),
            ),
            _REFUSED,
        ),
    ),
)


def judge(steps: Sequence[Step], lines: Sequence[Said]) -> list[str]:
    """What is not right about the ``lines`` that a boot's steps have made."""
    problems = []
    if len(lines) != len(steps):
        problems.append(f"{len(lines)} of {len(steps)} steps were done")
    for step, line in zip(steps, lines, strict=False):
        text = _text(line)
        what = [f"status {line['status']}"] if line["status"] != step.status else []
        what += [f"not said: {words}" for words in step.wanted if words not in text]
        what += [f"said: {words}" for words in step.unwanted if words in text]
        if what:
            problems.append(f"'{line['typed']}': {'; '.join(what)}; it said\n{text}")
    return problems


def _text(line: Said) -> str:
    """What a command has said; one line for each check of `DOCTOR`."""
    said = f"{line['said']}{line['errors']}"
    if line["typed"] != DOCTOR or not str(line["said"]).startswith("{"):
        return said
    rows = [
        row
        for row in json.loads(str(line["said"]))["checks"]
        if row["scope"] == "this kernel"
    ]
    return "".join(
        f"{row['name']} {row['state']} {row['found']} -> {row['advice']}\n"
        for row in rows
    )
