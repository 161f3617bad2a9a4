# SPDX-License-Identifier: GPL-2.0-only
"""The content address of a translation: a digest of all that it is made from.

Source bytes, the shape of the region, the interface of the module (all that a kernel
has to do with a translation), processor features, and the translator itself.
What only weighs paths is left out (execution counts, traced blocks, branches that were
not taken on them): another machine's is as good.
"""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import resources
from typing import Any

from iced_x86 import Code

from ubypass.abi import ABI_VERSION, Abi
from ubypass.region.graph import Region
from ubypass.store.placement import NotShareable, Placement
from ubypass.translate.features import needs
from ubypass.version import VERSION

__all__ = ["address_of", "environment", "translator_digest"]

_PACKAGES = ("region", "translate")
_MODULES = ("abi.py", "words.py")


@functools.cache
def translator_digest() -> str:
    """A digest of the translator's sources, and of its decoder, in hex."""
    root = resources.files("ubypass")
    found = {name: root.joinpath(name).read_bytes() for name in _MODULES}
    for package in _PACKAGES:
        for file in root.joinpath(package).iterdir():
            if file.name.endswith((".py", ".toml", ".txt")):
                found[f"{package}/{file.name}"] = file.read_bytes()
    # Its version is known to pip only, which has not installed it everywhere.
    decoder = resources.files("iced_x86")
    for file in decoder.iterdir():
        if file.name.endswith(".so"):
            found[f"iced_x86/{file.name}"] = file.read_bytes()
    digest = hashlib.sha256()
    for name, content in sorted(found.items()):
        digest.update(f"\n{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def environment(abi: Abi) -> str:
    """A digest of all inputs of the translator but the region, in hex."""
    return _digest(
        {
            "version": VERSION,
            "translator": translator_digest(),
            "interface": ABI_VERSION,
            "dispatch_size": abi.dispatch_size,
            "dispatch_vector_size": abi.dispatch_vector_size,
            "max_code": abi.max_code,
            "task_size_max": abi.task_size_max,
            "args": sorted(abi.args.items()),
            "x87": abi.x87,
            "filters": abi.filters,
            "trusted": abi.trusted,
            "fred": abi.fred,
            "features": _relevant(abi.features),
        }
    )


def _relevant(features: frozenset[str] | None) -> list[str] | None:
    """The features that some instruction needs; the others change no translation."""
    if features is None:
        return None
    codes = {value for name, value in vars(Code).items() if name.isupper()}
    return sorted(features & frozenset[str]().union(*map(needs, codes)))


def address_of(region: Region, placement: Placement, inputs: str) -> str:
    """The content address in hex; ``inputs``: see :func:`environment`.

    The same wherever the files of the region are mapped. Raises ``NotShareable``.
    """

    def place(address: int) -> list[int]:
        return list(placement.locate(address))

    def target(start: int, address: int) -> list[int]:
        try:
            return place(address)
        except NotShareable:
            # Out of the region: it moves with the branch.
            unit, _ = placement.locate(start)
            return [unit, address - placement.bases[unit]]

    blocks = [
        [
            *place(block.start),
            block.next_ip - block.start,
            block.end.value,
            sorted(target(block.start, address) for address in block.targets),
            sorted(block.numbers),
            block.nr_known,
            sorted(block.stops),
        ]
        for block in region.blocks.values()
    ]
    nonpointers = []
    for ip, mask in region.nonpointers.items():
        try:
            nonpointers.append([*place(ip), mask])
        except NotShareable:
            continue  # of other regions
    return _digest(
        {
            "inputs": inputs,
            "source": [[u, offset, data.hex()] for u, offset, data in placement.ranges],
            "blocks": sorted(blocks),
            "entries": sorted([*place(ip), nr] for ip, nr in region.entries),
            # Without any trace the weights would be guesses.
            "is_traced": bool(region.traced),
            "nonpointers": sorted(nonpointers),
        }
    )


def _digest(data: Any) -> str:
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
