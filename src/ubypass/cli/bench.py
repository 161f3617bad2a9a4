# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench``: measure what boosting gains, here and now."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ubypass.cli import bench_chains, bench_server
from ubypass.cli.options import out_file, whole
from ubypass.cli.progress import progress

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "bench"
HELP = "measure what boosting gains: native, boosted, and the limit"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own verbs and their options."""
    verbs = parser.add_subparsers(dest="bench_verb", required=True, metavar="VERB")
    io = verbs.add_parser(
        "io",
        help="loops of getppid and of file reads",
        description="Measures loops of getppid and of pread (1 to 4096 bytes, with "
        "and without adding up what was read) natively, boosted, and at the limit. "
        "Needs root and the modules; in the lab it loads them itself.",
    )
    io.add_argument(
        "--json", type=out_file, metavar="FILE", help="write the records there"
    )
    io.add_argument("--quick", action="store_true", help="a few loops, short rounds")
    io.add_argument(
        "--disk",
        action="store_true",
        help="read from a file system on the lab's disk, with and without its pages "
        "in memory: ub lab run --icount --disk 256M -- ub bench io --disk",
    )
    functions = verbs.add_parser(
        "functions",
        help="functions of this machine's libraries, on this CPU",
        description="Calls string functions, parsers, hashes and the like natively "
        "and translated, by turns, in one process, and compares the time. Needs "
        "neither root nor the module nor the lab.",
    )
    functions.add_argument(
        "--json", type=out_file, metavar="FILE", help="write the figures there"
    )
    translating = verbs.add_parser(
        "translate",
        help="what translating costs, on this CPU",
        description="Builds regions of programs on this machine through all stages: "
        "microseconds for each user instruction, peak memory, and memory over many "
        "builds. Needs neither root nor the module nor the lab.",
    )
    translating.add_argument(
        "--json", type=out_file, metavar="FILE", help="write the figures there"
    )
    translating.add_argument(
        "--builds",
        type=whole(),
        default=10_000,
        metavar="N",
        help="builds to watch memory over (default 10000)",
    )
    server = verbs.add_parser(
        "server",
        help="real servers under load",
        description="Starts a server and its load, measures natively, boosted and "
        "natively again: CPU time of the server for each request, and whether every "
        "reply was right. Needs root and the modules; in the lab it loads them itself.",
    )
    bench_server.configure(server)
    bench_chains.configure(verbs.add_parser("chains", help=bench_chains.HELP))
    prepare = verbs.add_parser(
        "prepare", help="compile what the lab would otherwise compile, slowly"
    )
    prepare.add_argument("--kernel", metavar="RELEASE", help="default: the lab's")
    show = verbs.add_parser("show", help="print records that --json wrote")
    show.add_argument("file", type=Path, metavar="FILE")
    gaps = verbs.add_parser(
        "gaps",
        help="instructions between system calls, and what becomes of them",
        description="Steps through the loops of 'ub bench io', and through redis and "
        "nginx under load, natively; no module and no lab is needed.",
    )
    gaps.add_argument("--json", type=out_file, metavar="FILE", help="write them there")
    replay = verbs.add_parser(
        "replay",
        help="what translating for a server costs this CPU",
        description="Does the builds again that 'ub attach --record' or 'ub bench "
        "server --builds' wrote down, each file as a fresh engine would. Needs neither "
        "root nor the module nor the lab.",
    )
    replay.add_argument("files", type=Path, nargs="+", metavar="FILE")
    replay.add_argument(
        "--json", type=out_file, metavar="FILE", help="write figures there"
    )
    results = verbs.add_parser("results", help="write a document of such records")
    results.add_argument("out", type=out_file, metavar="DOCUMENT")
    results.add_argument("files", type=Path, nargs="+", metavar="FILE")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks.

    1 if boosting changed what a program read, or if a loop was not boosted.
    """
    if args.bench_verb == "prepare":
        return _prepare(args.kernel)
    if args.bench_verb == "show":
        return _show(args.file)
    if args.bench_verb == "functions":
        return _functions(args.json)
    if args.bench_verb == "translate":
        return _translate(args.json, args.builds)
    if args.bench_verb == "gaps":
        return _gaps(args.json)
    if args.bench_verb == "replay":
        return _replay(args.files, args.json)
    if args.bench_verb == "results":
        from ubypass.bench.results import write_results

        write_results(args.files, args.out)
        return 0
    if args.bench_verb == "chains":
        with progress("bench") as report:
            return bench_chains.run(args, report)
    if args.bench_verb == "server":
        with progress("bench") as report:
            return bench_server.run(args, report)
    return _io(args.json, args.quick, args.disk)


def _io(json_file: Path | None, quick: bool, on_disk: bool) -> int:
    from ubypass.bench import disk, modules

    with ExitStack() as stack:
        report = stack.enter_context(progress("bench"))
        # First, and alone: it is what most often is not as it should be.
        wanted = "--icount --disk 256M" if on_disk else "--icount"
        command = shlex.join(["ub", *sys.argv[1:]])
        modules.ensure_loaded(report, f"ub lab run {wanted} -- {command}")
        directory = stack.enter_context(disk.mounted()) if on_disk else None
        report("starting")
        from ubypass.bench import io, machine
        from ubypass.bench.records import Record, write_records

        plan = io.Plan(round_instructions=4_000_000, rounds=3) if quick else io.Plan()
        if on_disk:
            workloads = io.DISK_QUICK if quick else io.DISK
        else:
            workloads = io.QUICK if quick else io.WORKLOADS
        records: list[Record] = []
        here = machine.describe()
        for record in io.measure_all(workloads, here, plan, report, directory):
            records.append(record)
            if json_file is not None:
                write_records(json_file, records)
    from ubypass.bench.report import show

    show(records)
    good = all(record.same_results and record.is_boosted for record in records)
    return 0 if good else 1


def _gaps(json_file: Path | None) -> int:
    from ubypass.bench.server import gaps

    with progress("bench") as report:
        found = list(gaps.measure_gaps(report))
    if json_file is not None:
        gaps.write_gaps(json_file, found)
    for gap in found:
        print(
            f"{gap.server} {gap.case}: {gap.call} -> {gap.following}: "
            f"{gap.median:,} ({gap.least:,} to {gap.most:,}), {gap.share:.1%}"
            + (f", translated x{gap.growth:.2f}" if gap.growth is not None else "")
        )
    return 0


def _replay(files: Sequence[Path], json_file: Path | None) -> int:
    from ubypass.bench import replay

    found = []
    with progress("bench") as report:
        for file in files:
            report(f"building again what is in {file.name}")
            found.append(replay.replay_afresh(file))
    if json_file is not None:
        replay.write_replayed(json_file, found)
    for each in found:
        print(
            f"{each.name}: {each.builds} builds of {each.instructions:,} instructions "
            f"in {each.seconds:.2f} s, {each.longest:.2f} s the longest"
        )
    return 0


def _translate(json_file: Path | None, builds: int) -> int:
    from ubypass.bench import costs, translation

    with progress("bench") as report:
        found = translation.measure(report, builds)
    if json_file is not None:
        translation.write(json_file, found)
    costs.show(found)
    return 0


def _functions(json_file: Path | None) -> int:
    from ubypass.bench import functions

    with progress("bench") as report:
        timings = list(functions.measure(report))
    if json_file is not None:
        functions.write(json_file, timings)
    from ubypass.bench.timings import show

    show(timings)
    return 0 if all(timing.same for timing in timings) else 1


def _prepare(kernel: str | None) -> int:
    from ubypass.bench import modules, workloads
    from ubypass.lab import kernels

    with progress("bench") as report:
        report("compiling the workloads")
        workloads.build_workloads()
        modules.build_bench_module(kernel or kernels.default_release(), report)
    return 0


def _show(file: Path) -> int:
    from ubypass.bench.records import read_records
    from ubypass.bench.report import show

    records = read_records(file)
    show(records)
    good = all(record.same_results and record.is_boosted for record in records)
    return 0 if good else 1
