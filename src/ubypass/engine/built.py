# SPDX-License-Identifier: GPL-2.0-only
"""What building a region comes to: a verified translation, or a reason.

Apart from :mod:`ubypass.engine.build` so that who only handles results need not
import the translator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ubypass.abi import Translation

if TYPE_CHECKING:
    from ubypass.region.graph import Region

__all__ = ["Built", "NothingToBuild", "Refused"]


class NothingToBuild(Exception):
    """There is no hot entry, or none of them is code any more."""


class Refused(Exception):
    """No safe translation that fits could be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Built:
    """A region and its verified translation."""

    region: Region
    translation: Translation

    @property
    def instructions(self) -> int:
        """User instructions in the region."""
        return self.region.instruction_count

    @property
    def source_bytes(self) -> int:
        """Bytes of user code that were translated."""
        return sum(len(source.data) for source in self.translation.sources)
