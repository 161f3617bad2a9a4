# SPDX-License-Identifier: GPL-2.0-only
"""Checks the processor model and the mitigations that are requested for a guest.

The names come from QEMU, so that a wrong name is found before a boot. Must not depend
on how the machine is started.
"""

from __future__ import annotations

import difflib
import re
import subprocess

from ubypass.errors import UbError
from ubypass.lab.qemu import find_qemu

__all__ = ["known", "mitigations", "require"]

_LIST = "to list them: qemu-system-x86_64 -cpu help"
_SWITCH = ("on", "off", "yes", "no", "true", "false")

# "off", "auto", "auto,nosmt"; since 6.17 attack vectors may follow ("x86/bugs: Add
# attack vector controls"). The kernel itself only warns of other values.
_MITIGATIONS = re.compile(r"(off|auto(,nosmt)?)(;[a-z_]+(,[a-z_]+)*)?")


def require(text: str, help_text: str | None = None) -> None:
    """Raise UbError unless QEMU has the model and the features of ``text``.

    ``text``: an argument of QEMU's option ``-cpu``, such as ``max,-erms``.
    ``help_text``: the output of ``-cpu help``; None: run QEMU. Properties that are no
    features (``family=6``) are left to QEMU.
    """
    models, features = known(_help() if help_text is None else help_text)
    if not models:
        return
    model, *edits = text.split(",")
    if model not in models:
        raise UbError(f"QEMU has no CPU model '{model}'", _nearest(model, models))
    for edit in edits:
        if not edit:
            raise UbError(
                f"an empty feature in '{text}'", "write a list such as max,-erms"
            )
        name, equals, value = edit.lstrip("+-").partition("=")
        # QEMU treats an underscore as a dash.
        is_feature = name.replace("_", "-") in features
        if edit[0] in "+-" and not is_feature:
            raise UbError(f"QEMU has no CPU feature '{name}'", _nearest(name, features))
        if is_feature and equals and value not in _SWITCH:
            raise UbError(f"'{name}' must be on or off, not '{value}'", f"{name}=off")


def known(help_text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Models and features in the output of ``-cpu help``."""
    models, _, features = help_text.partition("Recognized CPUID flags:")
    lines = (line.removeprefix("x86 ").split() for line in models.splitlines()[1:])
    return tuple(words[0] for words in lines if words), tuple(features.split())


def mitigations(text: str) -> str:
    """``text`` if it is valid for the parameter ``mitigations=``. Raises UbError."""
    if _MITIGATIONS.fullmatch(text) is None:
        raise UbError(f"unknown mitigations '{text}'", "use off, auto or auto,nosmt")
    return text


def _help() -> str:
    done = subprocess.run(
        [find_qemu(), "-cpu", "help"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.stdout


def _nearest(name: str, names: tuple[str, ...]) -> str:
    by_lower = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3)
    return f"perhaps {' or '.join(by_lower[each] for each in near)}" if near else _LIST
