# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.selftests [--json FILE] [COLLECTION]... [--only WORD]...``

The kernel's own selftests in the lab, natively and boosted, compared test by test.
Fetches and compiles them; of each collection, runs them natively and records their
paths in one boot, translates all that was recorded on the host, and runs them boosted
in a second boot: every site, without any judgement whether that pays. Ends with 1 if a
test differs, or if the kernel complains while they run boosted of what it does not
natively. What came out is added to docs/selftests.json and written to
docs/selftests.md; programs that are not run keep theirs. ``rseq+futex`` runs two
collections in the same two boots.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.patient import PATIENT
from tests.selftests import suite, translations
from tests.selftests.page import load, page, save
from tests.selftests.result import Result, table
from tests.selftests.source import fetch
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.run import run
from ubypass.module.build import build_module
from ubypass.places import kernel_sources, module_file

_ROOT = Path(__file__).resolve().parents[2]
_RECORDS = _ROOT / "docs" / "selftests.json"
_PAGE = _ROOT / "docs" / "selftests.md"
#: With SMAP the kernel dies, natively too, where x86 tests make far calls: presumably
#: QEMU 7.2 accesses the stack for these with the rights of the kernel.
_CPU = "max,-smap"
_TIMEOUT = 4 * 3600.0  # seconds, of one boot


def main() -> int:
    """Run the collections."""
    parser = argparse.ArgumentParser(prog="tests.selftests", description=__doc__)
    parser.add_argument("collections", nargs="*", metavar="COLLECTION")
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--memory", default="2G")
    parser.add_argument(
        "--again", action="store_true", help="the boosted runs only, as recorded before"
    )
    options = parser.parse_args()
    chosen = options.collections or list(suite.COLLECTIONS)
    words = {word for name in chosen for word in name.split("+")}
    unknown = sorted(words - suite.COLLECTIONS.keys())
    if unknown:
        parser.error(f"no collection {unknown[0]}: {', '.join(suite.COLLECTIONS)}")
    try:
        results = [each for name in chosen for each in _tried(name, options)]
    except UbError as error:
        print(f"selftests: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        records = [each.as_json() for each in results]
        options.json.write_text(json.dumps(records, indent=1) + "\n")
    good = len(results) == len(chosen) and all(each.passed for each in results)
    return 0 if good else 1


def _tried(collection: str, options: argparse.Namespace) -> Iterator[Result]:
    """Its result, also printed; none if its machine dies, which is said."""
    try:
        result = _try(collection, options)
    except UbError as error:
        print(f"selftests: {collection}: {error}", file=sys.stderr, flush=True)
        return
    print("\n".join(table(result)), flush=True)
    save(_RECORDS, result.as_json())
    _PAGE.write_text(page(load(_RECORDS)))
    yield result


def _say(phrase: str) -> None:
    if phrase:
        print(f"selftests: {phrase}", flush=True)


def _try(collection: str, options: argparse.Namespace) -> Result:
    of = os.environ.get(kernels.SUITE_VARIABLE)
    release = kernels.default_release(of)
    source = fetch(release, of, _say)
    if not module_file(release).exists():
        _say(f"building the module for {release}")
        out = module_file(release).parent
        build_module(release, kernel_sources(), out, suite=of, report=_say)
    directory = _ROOT / "build" / "selftests" / release / collection
    if not options.again:
        shutil.rmtree(directory, ignore_errors=True)
    programs = suite.build(source, collection, directory, _say)
    (directory / "jobs").write_text(json.dumps(suite.jobs(programs, options.only)))
    if not options.again:
        _boot("native", directory, options.memory)
    made = {}
    for program, each in translations.translate_all(directory):
        name = Path(program).name
        made[name] = {
            "sites": each.sites,
            "entered": each.entered,
            "regions": len(each.translations),
            "refused": each.refused,
        }
        _say(f"{name}: {each.entered} of {each.sites} sites translated")
    log = _boot("boosted", directory, options.memory)
    return Result(
        release,
        source.version,
        collection,
        _lines(directory, "native"),
        _lines(directory, "boosted"),
        made,
        log,
    )


def _lines(directory: Path, phase: str) -> list[dict[str, Any]]:
    text = (directory / f"{phase}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def _boot(phase: str, directory: Path, memory: str) -> tuple[str, ...]:
    """Run a phase in the lab; complaints of the kernel. Raises UbError if it dies."""
    options = replace(
        PATIENT,
        timeout=_TIMEOUT,
        memory=memory,
        cpu=_CPU,
        environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(_ROOT)},
    )
    python = shlex.quote(sys.executable)
    load = f"{python} -m ubypass.cli.main module load"
    inside = f"{python} -m tests.selftests.inside {phase} {shlex.quote(str(directory))}"
    command = ["sh", "-c", f"{load} && exec {inside}"]
    done = run(command, options, report=_say)
    if done.status != 0:
        raise UbError(f"the {phase} run ended with status {done.status}")
    return done.log_problems


if __name__ == "__main__":
    sys.exit(main())
