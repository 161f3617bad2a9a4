# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench packets``: receivers by XDP, rings and a raw socket, boosted or not."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from ubypass.cli.bench.options import add_quick, add_runs, add_size, command_line
from ubypass.cli.options import add_json_file, whole
from ubypass.cli.progress import progress
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError

__all__ = ["VERB", "configure", "run"]

_LONGEST = 1472  # bytes of payload in an Ethernet frame


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.description = (
        "Sends UDP packets through a veth pair between two network namespaces, and "
        "measures the cost of a packet for the whole machine: without a receiver, with "
        "an XDP program that counts, AF_XDP, a mapped ring, and a raw socket, native "
        "and boosted. Checks that each receiver got all packets. Needs root; the "
        "boosted socket needs the modules, which are loaded automatically in the lab."
    )
    add_size(parser, "bytes of payload (default: 64 and 1024)", _LONGEST)
    add_json_file(parser)
    add_quick(parser, "few packets of 64 bytes")
    add_runs(parser)
    parser.add_argument(
        "--packets",
        type=whole(1),
        default=10_000,
        metavar="N",
        help="packets in a run (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and show; 1 if a receiver did not receive what was sent."""
    with progress("bench") as report:
        return _measure(args, report)


def _measure(args: argparse.Namespace, report: Callable[[str], None]) -> int:
    if os.geteuid() != 0:
        raise UbError(
            "network namespaces and raw sockets need root",
            f"run as root, or in the lab: ub lab run --icount -- {command_line()}",
        )
    from ubypass.bench import machine, modules
    from ubypass.bench.packets.measure import Plan, measure_all
    from ubypass.bench.packets.receivers import Case
    from ubypass.bench.packets.record import PacketRecord, write_packet_records
    from ubypass.bench.packets.table import show

    try:
        modules.ensure_loaded(report, f"ub lab run --icount -- {command_line()}")
    except UbError as error:
        # All receivers except the boosted one can be measured.
        report(error.message)
    sizes = args.size or ([64] if args.quick else [64, 1024])
    plan = Plan(2_000, 3) if args.quick else Plan(args.packets, args.runs)
    cases = [Case(size, add) for size in sizes for add in (False, True)]
    records: list[PacketRecord] = []
    here = machine.describe()
    for record in measure_all(cases, here, plan, command_line(), report):
        records.append(record)
        if args.json is not None:
            write_packet_records(args.json, records)
    show(records)
    return 1 if any(record.wrong for record in records) else 0


VERB = Verb(
    "packets",
    "measure the cost of a UDP packet: XDP, rings, a raw socket",
    configure,
    run,
)
