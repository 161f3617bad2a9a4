# SPDX-License-Identifier: GPL-2.0-only
"""The result of a build: a verified translation, or why there is none.

Apart from :mod:`ubypass.engine.build`, so that code that only handles results does not
import the translator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ubypass.abi import SiteKey, Translation

if TYPE_CHECKING:
    from ubypass.region.graph import Region

__all__ = ["Built", "NothingToBuild", "Postponed", "Reached", "Refused"]


class NothingToBuild(Exception):
    """There is no hot entry, or no entry is code any more."""


class Refused(Exception):
    """No safe translation that fits could be made; the text says why."""


class Reached(Exception):
    """The region reaches ``sites`` of others, with which it is to be built."""

    def __init__(self, sites: frozenset[SiteKey]) -> None:
        super().__init__(f"sites of other regions are reached: {len(sites)}")
        self.sites = sites


class Postponed(Exception):
    """Another machine makes the translation; ``seconds``: when to build again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not before {seconds:.2f} s have passed")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Built:
    """A region and its verified translation.

    ``doubt``: the verifier's objection to a faster translation; "": none.
    """

    region: Region
    translation: Translation
    doubt: str = ""

    @property
    def instructions(self) -> int:
        """User instructions in the region."""
        return self.region.instruction_count

    @property
    def source_bytes(self) -> int:
        """Bytes of user code that were translated."""
        return sum(len(source.data) for source in self.translation.sources)
