# SPDX-License-Identifier: GPL-2.0-only
"""``ub explain``: the regions of a process, and the reasons for native sites."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ubypass.cli import live_page
from ubypass.cli.in_turn import in_turn, print_matches
from ubypass.cli.options import PROCESS, add_html, add_json
from ubypass.cli.process_figures import TRUSTED
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError, UsageError

__all__ = ["VERB", "configure", "run"]

#: Version of the output of ``--json``; new keys do not change it.
_VERSION = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "id",
        metavar="PROCESS|REGION",
        help=f"{PROCESS}; or the number of a region",
    )
    parser.add_argument("--exits", action="store_true", help="print only the exits")
    parser.add_argument("--sites", action="store_true", help="print only the sites")
    add_json(parser)
    add_html(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the engines and print the answer. Raises UbError."""
    if args.html is not None:
        from ubypass.cli.named import one_process

        if args.json or args.exits or args.sites:
            raise UsageError(
                "--html excludes --json, --exits and --sites", "use only one of them"
            )
        live_page.ready()
        wanted = one_process(args.id, "a page is about one process")
        live_page.write_explanation(args.html, _ask(wanted))
        return 0
    from ubypass.cli.named import processes

    found = processes(args.id)
    several = len(found) > 1
    answers: list[dict[str, Any]] = []

    def explain(number: int) -> None:
        answer = _ask(number)
        if not args.json:
            if answers:
                print()
            _explain(answer, args)
        answers.append(answer)

    good = in_turn(_boosted(found) if several else found, explain)
    if args.json and several:
        print_matches(_VERSION, answers)
    elif args.json:
        print(json.dumps(answers[0], indent=1))
    return 0 if good else 1


def _boosted(found: Sequence[int]) -> list[int]:
    """Those of several processes that are attached."""
    from ubypass.cli.stats import attached

    boosted = sorted(process["pid"] for process in attached(found))
    if native := len(found) - len(boosted):
        print(
            f"ub: {native} of {len(found)} processes are not being boosted",
            file=sys.stderr,
        )
    return boosted


def _explain(answer: Mapping[str, Any], args: argparse.Namespace) -> None:
    if "regions" in answer:
        _print_sites(answer)
        regions = [] if args.sites else answer["regions"]
    else:
        regions = [answer]
    for region in regions:
        print()
        _print(region, exits_only=args.exits)


def _ask(wanted: int) -> dict[str, Any]:
    """The object for ``--json`` of that process or region. Raises UbError."""
    from ubypass.engine.control import ask_all
    from ubypass.process.namespace import numbers_of

    answers, silent = ask_all(
        {"ask": "explain", "id": wanted, "numbers": numbers_of(wanted)}
    )
    if not answers:
        if silent:
            raise silent[0]
        raise UbError("no process is being boosted", "start with: ub run -- COMMAND")
    return {"version": _VERSION, **answers[0]}


def _print_sites(process: Mapping[str, Any]) -> None:
    """One line per site, with the figures behind the decision."""
    from ubypass.cli.listing import print_sites

    print(f"process {process['pid']} ({process['name']}):")
    if process["reason"]:
        print(f"not boosted: {process['reason']}\n  {process['hint']}\n")
    if process.get("trusted"):
        print(f"trusted: {TRUSTED}\n")
    if process["filtered"]:
        print(
            f"{process['filtered']:,} calls were made natively:\n"
            "  a seccomp filter did not simply allow them\n"
        )
    if process["sites"]:
        print("times in ns: NATIVE and BOOSTED per gap, GAIN per run" + _by(process))
        print_sites(process["sites"])
    else:
        print("none of its system calls has been examined yet")


def _by(process: Mapping[str, Any]) -> str:
    """The source of the gain's price if that is not the times beside it."""
    model = process["priced_by"]
    return "" if model == "clock" else f"\nGAIN from the model {model}, others measured"


def _print(region: Mapping[str, Any], *, exits_only: bool) -> None:
    from ubypass.cli.listing import print_exits, print_lines, print_nonpointers

    print(
        f"region {region['region']} of process {region['pid']} ({region['name']}): "
        f"{region['instructions']:,} instructions,\n"
        f"{region['source_bytes']:,} bytes -> {region['code_bytes']:,} bytes; "
        f"{region['dispatched']:,} calls dispatched in {region['runs']:,} runs"
    )
    if region.get("trusted"):
        print("trusted: its addresses are guarded, not clamped")
    print()
    if region["exits"]:
        print_exits(region["exits"])
    else:
        print("No exits yet.")
    if region["nonpointers"]:
        print()
        print_nonpointers(region["nonpointers"])
    if not exits_only:
        print()
        print_lines(region["lines"])


VERB = Verb(
    "explain",
    "show the decisions for a process, and its regions with their translations",
    configure,
    run,
)
