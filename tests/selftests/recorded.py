# SPDX-License-Identifier: GPL-2.0-only
"""What ``programs/steps.c`` has recorded, and a profile made of it.

Every path becomes a traced one, and the resume address where it begins a hot site, so
that all of the program that was seen is translated, whatever it would save.
"""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from ubypass.device.types import Path
from ubypass.engine.profile import Limits, Profile

__all__ = ["from_site", "profile_of", "read_paths", "sites_of"]

_HEAD = struct.Struct("=IIII")
_PROGRAM = 0
_SYSCALL = 2  # bytes of the instruction

#: Nothing that was seen is left out.
_LIMITS = Limits(
    entries=1 << 16, traced=1 << 20, sites=1 << 16, branches=1 << 16, targets=64
)


def read_paths(data: bytes) -> dict[str, list[Path]]:
    """Paths by the path of the program; what was cut off is left out.

    At the end, or at the beginning, so that the program of a path is not known.
    """
    programs: list[str] = []
    found: dict[str, list[Path]] = {}
    offset = 0
    while offset + _HEAD.size <= len(data):
        kind, nr, program, count = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        size = count if kind == _PROGRAM else 8 * count
        body = data[offset : offset + size]
        offset += size
        if len(body) < size:
            break
        if kind == _PROGRAM:
            programs.append(body.decode(errors="surrogateescape"))
            continue
        if program >= len(programs):
            continue
        ips = array("Q", body)
        path = Path(ips[0], nr, tuple(ips))
        found.setdefault(programs[program], []).append(path)
    return found


def profile_of(paths: Iterable[Path]) -> Profile:
    """A profile in which every site of the paths is hot, and every path traced."""
    profile = Profile(limits=_LIMITS)
    for path in paths:
        assert path.key is not None
        profile.add_entry(path.key)
        profile.add_path(path)
    return profile


def sites_of(paths: Iterable[Path]) -> list[int]:
    """The sites, the most frequent ones first."""
    return [site for site, _ in Counter(path.ip for path in paths).most_common()]


def from_site(site: int, paths: Sequence[Path], most: int) -> list[Path]:
    """Paths that begin at ``site``, and those that follow, breadth first.

    Until they have ``most`` different instructions.
    """
    by_start: dict[int, list[Path]] = {}
    for path in paths:
        by_start.setdefault(path.ip, []).append(path)
    found: list[Path] = []
    seen: set[int] = set()
    waiting, known = [site], {site}
    while waiting and len(seen) < most:
        for path in by_start.get(waiting.pop(0), ()):
            found.append(path)
            seen.update(path.ips)
            following = path.ips[-1] + _SYSCALL
            if following not in known:
                known.add(following)
                waiting.append(following)
    return found
