# SPDX-License-Identifier: GPL-2.0-only
"""The number of the interface changes with the interface.

Packages of the tool and of the module are upgraded one after the other, and a module
stays loaded while its tool is upgraded: they find out by this number alone.
"""

from __future__ import annotations

import hashlib
import re

from tests.places import ROOT
from ubypass.abi import ABI_VERSION

_HEADER = ROOT / "kernel" / "include" / "uapi" / "ub.h"

#: Of the last version: its number, and the digest of its header without comments.
_KNOWN = (8, "a7a4840edb9cda46")

_WHAT_NOW = """\
{header} is not what it was.
Would a tool of before work with this module, and this tool with a module of before? A
new name, or a new call that nobody has to make: yes, and the digest here becomes
{digest!r}. With anything else UB_ABI_VERSION and ABI_VERSION are raised as well.
"""


def _digest() -> str:
    text = re.sub(r"/\*.*?\*/", " ", _HEADER.read_text(), flags=re.DOTALL)
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def test_another_interface_has_another_number() -> None:
    digest = _digest()
    told = _WHAT_NOW.format(header=_HEADER.relative_to(ROOT), digest=digest)
    assert (ABI_VERSION, digest) == _KNOWN, told
