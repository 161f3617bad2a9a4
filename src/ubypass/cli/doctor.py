# SPDX-License-Identifier: GPL-2.0-only
"""``ub doctor``: the capabilities of this machine and what is missing, one per line."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ubypass.cli.options import add_json
from ubypass.cli.verbs import Verb

if TYPE_CHECKING:
    from ubypass.doctor.check import Check
    from ubypass.errors import UbError

__all__ = ["VERB", "configure", "run"]

#: Version of the output of ``--json``; new keys do not change it.
_VERSION = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the checks; 0 if programs can be boosted on this kernel, else 1."""
    from ubypass.cli.module.files import how_to_get, loadable
    from ubypass.doctor.check import Scope, State
    from ubypass.doctor.kernel import KernelFacts, check_kernel
    from ubypass.doctor.lab import check_lab
    from ubypass.lab.kernels import has_headers, headers_dir
    from ubypass.module.installed import signer
    from ubypass.places import cache_dir, module_file

    release = platform.release()
    cached = headers_dir(cache_dir() / "kernels" / release / "headers", release)
    facts = KernelFacts(
        release=release,
        machine=platform.machine(),
        module_file=loadable(release),
        cached_headers=cached,
        euid=os.geteuid(),
        how_to_get=how_to_get,
        module_of=loadable,
        signer=signer,
        packaged_headers=partial(has_headers, release),
        try_build=lambda: _try_build(release),
    )
    built = module_file(release).parent.parent
    checks: list[Check] = [*check_kernel(facts), *check_lab(built)]
    good = {
        scope: all(c.state is not State.FAIL for c in checks if c.scope is scope)
        for scope in Scope
    }
    if args.json:
        _print_json(checks, good[Scope.KERNEL], good[Scope.LAB])
    else:
        for scope in Scope:
            _print(scope.value, good[scope], [c for c in checks if c.scope is scope])
    return 0 if good[Scope.KERNEL] else 1


def _try_build(release: str) -> UbError | None:
    """Build the module where it is never loaded from; the error if that fails."""
    from ubypass.errors import UbError
    from ubypass.module.build import build_module
    from ubypass.places import cache_dir, kernel_sources

    print("doctor: trying to build the module", file=sys.stderr)
    try:
        build_module(release, kernel_sources(), cache_dir() / "doctor" / release)
    except UbError as error:
        return error
    return None


def _print_json(checks: Sequence[Check], kernel: bool, lab: bool) -> None:
    import json
    from dataclasses import asdict

    rows = [
        {**asdict(check), "scope": check.scope.value, "state": check.state.value}
        for check in checks
    ]
    found = {"version": _VERSION, "this_kernel": kernel, "lab": lab, "checks": rows}
    print(json.dumps(found, indent=1))


def _print(title: str, good: bool, checks: Sequence[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape

    # No wrapping and no cutting: commands are copied from narrow windows, too.
    console = Console(highlight=False, soft_wrap=True)
    verdict = "[green]ready[/]" if good else "[red]not ready[/]"
    console.print(f"[bold]{title}[/]: {verdict}")
    colours = {"ok": "green", "note": "yellow", "fail": "red"}
    for check in checks:
        state = check.state.value
        shown = f"  [{colours[state]}]{state:<4}[/]  {check.name:<10}"
        console.print(f"{shown}  {escape(check.found)}")
        if check.advice:
            console.print(f"        [dim]→ {escape(check.advice)}[/]")


VERB = Verb(
    "doctor", "check the requirements on this machine and of the lab", configure, run
)
