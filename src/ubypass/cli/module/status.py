# SPDX-License-Identifier: GPL-2.0-only
"""``ub module status``: whether the module is built and loaded, and its tunables."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping
from typing import Any

from ubypass.cli.module.files import is_loaded, loadable, short
from ubypass.cli.options import add_json
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError
from ubypass.places import module_file

__all__ = ["VERB", "configure", "run"]

#: Version of the output of ``--json``; new keys do not change it.
_VERSION = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the status; 1 if the module is not loaded."""
    release = platform.release()
    file = loadable(release)
    built = module_file(release).parent.parent
    others = sorted(path.parent.name for path in built.glob("*/ub.ko"))
    loaded = is_loaded()
    present, error = _present() if loaded else ({}, None)
    if args.json:
        import json

        print(
            json.dumps(
                {
                    "version": _VERSION,
                    "release": release,
                    "loaded": loaded,
                    "built": file.is_file(),
                    "file": str(file),
                    "built_for": others,
                    "tunables": _tunables(present),
                    "why": error.message if error else "",
                }
            )
        )
        return 0 if loaded else 1
    print(f"kernel     {release}")
    print(f"loaded     {'yes' if loaded else 'no'}")
    print(f"built      {short(file) if file.is_file() else 'not for this kernel'}")
    print(f"built for  {', '.join(others) or 'no kernel yet'}")
    if error is not None:
        print(f"but        {error.message}")
        print(f"           {error.hint}")
    print()
    _print_tunables(_tunables(present))
    return 0 if loaded else 1


def _present() -> tuple[dict[str, int], UbError | None]:
    """Present values of the loaded module by name; none, and why they are unknown."""
    from ubypass.device.client import Device
    from ubypass.device.tunables import TUNABLES

    try:
        with Device() as device:
            return {each.name.lower(): device.tune(each) for each in TUNABLES}, None
    except UbError as error:
        return {}, error


def _tunables(present: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """The tunables by name; the value ``present`` is None if it is unknown."""
    from ubypass.device.tunables import TUNABLES

    return {
        each.name.lower(): {
            "present": present.get(each.name.lower()),
            "default": known.usual,
            "least": known.least,
            "most": known.most,
            "unit": known.unit,
            "meaning": known.text,
        }
        for each, known in TUNABLES.items()
    }


def _print_tunables(tunables: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the tunables in the form of ``--tune``; present values need root."""
    for name, known in tunables.items():
        now = known["present"]
        value = f"default {known['default']}" if now is None else str(now)
        bounds = f"{known['least']} to {known['most']} {known['unit']}"
        print(f"{name:<12} {value:<15} {bounds}")
        print(f"{'':<12} {known['meaning']}")


VERB = Verb(
    "status", "show whether it is built and loaded, and its tunables", configure, run
)
