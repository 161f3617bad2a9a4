# SPDX-License-Identifier: GPL-2.0-only
"""``ub translate``: the translation of code in a file. Needs no kernel module."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ubypass.cli.options import TRANSLATE_TRUSTED, add_json, add_trust, whole
from ubypass.cli.verbs import Verb
from ubypass.errors import UbError, UsageError

if TYPE_CHECKING:
    from ubypass.abi import Translation
    from ubypass.process.elf import ElfFile
    from ubypass.region.graph import Region

__all__ = ["VERB", "configure", "run"]

#: Version of the output of ``--json``; new keys do not change it.
_VERSION = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", help="a 64-bit x86 program or library")
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        help="the entry: a virtual address (0x...), SYMBOL or SYMBOL+0x...; usually "
        "the instruction after a syscall",
    )
    parser.add_argument(
        "--reach",
        type=whole(1),
        default=32,
        metavar="N",
        help="instructions to explore from each entry (default: %(default)s)",
    )
    add_trust(parser, TRANSLATE_TRUSTED)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Discover, translate, verify, print; 1 if the verifier rejects the result."""
    from ubypass.abi import SYSCALL_ARGS, Abi
    from ubypass.process.elf import open_elf
    from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
    from ubypass.region.reader import BytesReader
    from ubypass.translate.translate import translate

    elf = open_elf(args.file)
    address = _address(elf, args.address)
    reader = BytesReader(elf.executable_bytes())
    # The number of the call before the entry is unknown: one that is dispatched.
    spec = RegionSpec((HotEntry(address, next(iter(SYSCALL_ARGS))),))
    region = discover(spec, reader, Limits(reach=args.reach))
    abi = Abi(trusted=args.trust)
    translation = translate(region, abi)
    verdict = _verify(translation, abi)
    if args.json:
        print(json.dumps(_data(elf, region, translation, verdict), indent=1))
    else:
        _print(elf, region, translation, verdict)
    return 0 if verdict is None else 1


def _address(elf: ElfFile, word: str) -> int:
    try:
        address = int(word, 0)
    except ValueError:
        address = _symbol(elf, word)
    segment = next(
        (s for s in elf.segments if 0 <= address - s.address < s.file_size), None
    )
    if segment is None or not segment.executable:
        what = "not in the file" if segment is None else "data"
        raise UbError(
            f"{address:#x} is not code in {elf.name}: it is {what}",
            f"'objdump -d {elf.name}' shows the virtual addresses",
        )
    return address


def _symbol(elf: ElfFile, word: str) -> int:
    name, plus, distance = word.partition("+")
    address = elf.address_of(name)
    if address is None:
        raise UbError(
            f"{elf.name} has no function {name!r}",
            f"give an address, or a name listed by 'nm -D {elf.name}'",
        )
    try:
        return address + (int(distance, 0) if plus else 0)
    except ValueError as error:
        raise UsageError(
            f"{distance!r} is not a number", "write SYMBOL+0x12, for example"
        ) from error


def _verify(translation: Translation, abi: Any) -> str | None:
    """The verifier's objection; None if there is none."""
    from ubypass.verify.check import VerifyError, check

    try:
        check(translation, abi)
    except VerifyError as error:
        return error.message
    return None


def _rows(
    elf: ElfFile, region: Region, translation: Translation
) -> list[dict[str, Any]]:
    from ubypass.translate.listing import listing

    return [
        {
            "address": line.user_ip,
            "symbol": "" if line.user_ip is None else _name(elf, line.user_ip),
            "user": line.user,
            "offset": line.offset,
            "code": line.code,
            "note": line.note,
        }
        for line in listing(region, translation)
    ]


def _name(elf: ElfFile, address: int) -> str:
    found = elf.symbol_at(address)
    if found is None:
        return f"{elf.name}+{address:#x}"
    return found[0] + (f"+{found[1]:#x}" if found[1] else "")


def _data(
    elf: ElfFile, region: Region, translation: Translation, verdict: str | None
) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "file": elf.name,
        "instructions": region.instruction_count,
        "blocks": len(region.blocks),
        "source_bytes": sum(len(source.data) for source in translation.sources),
        "code_bytes": len(translation.code),
        "code": translation.code.hex(),
        "entries": list(dict.fromkeys(e.user_ip for e in translation.entries)),
        "dispatches": [
            {"offset": call.code_offset, "nr": call.nr}
            for call in translation.dispatches
        ],
        "exits": [
            {"address": leave.user_ip, "reason": leave.reason.name.lower()}
            for leave in translation.exits
        ],
        "trusted": translation.trusted,
        "verified": verdict is None,
        "refused_because": verdict,
        "lines": _rows(elf, region, translation),
    }


def _print(
    elf: ElfFile, region: Region, translation: Translation, verdict: str | None
) -> None:
    from ubypass.cli.listing import print_lines

    source = sum(len(piece.data) for piece in translation.sources)
    calls = sorted({call.nr for call in translation.dispatches})
    print(
        f"{elf.name}: {region.instruction_count} instructions in {len(region.blocks)} "
        f"blocks, {source} bytes -> {len(translation.code)} bytes"
    )
    print(f"calls dispatched: {', '.join(map(str, calls)) or 'none'}")
    mode = ", as of a trusted program" if translation.trusted else ""
    print(f"verified: yes{mode}" if verdict is None else f"verified: NO, {verdict}")
    print()
    print_lines(_rows(elf, region, translation))


VERB = Verb(
    "translate",
    "translate and verify code of a file, without running it",
    configure,
    run,
)
