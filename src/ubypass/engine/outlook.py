# SPDX-License-Identifier: GPL-2.0-only
"""Sites from which runs end before they have earned what getting in costs.

Known from the traced ways before anything is built (see ``chains.py``). Those sites are
blocked here, and tried again once their ways lead on after all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from statistics import mean

from ubypass.cost.gap import GapProfile
from ubypass.device.types import Path, Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine.blocks import Blocks
from ubypass.engine.chains import Chains
from ubypass.engine.forecast import Forecast
from ubypass.engine.payoff import Judgement
from ubypass.engine.ports import MemoryLike
from ubypass.errors import UbError

__all__ = ["Outlook"]

_SYSCALL = b"\x0f\x05"

#: Runs of so many calls spend next to no time at their beginning.
_LONG_RUN = 16

#: Share of a transition that a gap must be likely to save to be beyond doubt.
_SURE = 0.5

#: A gap that takes so many times as long as when it was traced is another one.
_OTHER = 1.5

#: From sites of which the module has found out such no run goes on. Not so where calls
#: are few: what leads there from a hot site was not its usual way.
_ENDS = (SiteVerdict.LONG, SiteVerdict.BUSY)


class Outlook:
    """Of one process; blocks in ``blocks`` what ``forecast`` finds worth nothing.

    ``chains`` are those of all processes with the same code.
    """

    def __init__(
        self, forecast: Forecast, blocks: Blocks, chains: Chains | None = None
    ) -> None:
        self._forecast = forecast
        self._blocks = blocks
        self._chains = chains if chains is not None else Chains()
        self._left: set[int] = set()
        self._traced_ns: dict[int, int] = {}

    def link(
        self, path: Path, gap: GapProfile, memory: MemoryLike, native_ns: int = 0
    ) -> None:
        """Note to which site a traced gap led, if it did lead to a call.

        ``native_ns``: what gaps from its site took natively then, 0: not known.
        """
        if native_ns:
            self._traced_ns[path.ip] = native_ns
        last = path.ips[-1] if path.ips else 0
        try:
            leads = memory.read(last, len(_SYSCALL)) == _SYSCALL
        except UbError:
            return
        if leads:
            saving = self._forecast.saving(gap)
            self._chains.add(path.ip, last + len(_SYSCALL), saving)

    def is_open(self, entries: Iterable[int], sites: Mapping[int, Site]) -> bool:
        """Is it unknown where runs from some of ``entries`` come through?

        Sites of one program become hot, and are traced, one after the other.
        """
        return any(
            self._blocks.get(ip) is None
            and self._chains.best(ip, lambda at: self._ends(at, sites)) is None
            for ip in entries
        )

    def look(
        self,
        entries: Collection[int],
        sites: Mapping[int, Site],
        judgements: Mapping[int, Judgement],
        now: float,
    ) -> tuple[list[int], list[int]]:
        """Which of ``entries`` are blocked from now on, and which not any more?

        One that was seen to gain is never blocked.
        """
        left, back = [], []
        for ip in entries:
            block = self._blocks.get(ip)
            judged = judgements.get(ip)
            gains = judged is not None and judged.gain > 0
            alone = not gains and self._is_alone(ip, sites)
            if alone and block is None:
                native_ns = sites[ip].native_ns if ip in sites else 0
                reason = "runs from there end before they gain anything"
                self._blocks.add(ip, reason, native_ns, now, stop=False)
                self._left.add(ip)
                left.append(ip)
            elif not alone and ip in self._left:
                self._left.discard(ip)
                if block is not None:
                    self._blocks.lift(ip)
                    back.append(ip)
        return left, back

    def is_sure(self, judged: Judgement) -> bool:
        """Does the site gain, though its times say that it loses a little?

        A gap in a translation is timed at the beginning of a run, when caches have
        forgotten it: after a signal that comes each millisecond, say. Where runs are
        long that is not what it usually takes, and the forecast says more: as long as
        the gap is the one that was traced. A loss of more than a transition is
        believed: the forecast does not know of loads that wait for each other.
        """
        site = judged.site
        transition = self._forecast.model.transition.ns.likely
        if judged.saving < -transition:
            return False
        traced_ns = self._traced_ns.get(site.ip)
        if traced_ns is not None and site.native_ns > _OTHER * traced_ns:
            return False
        savings = self._chains.savings(judged.site.ip)
        least = min((saving.likely for saving in savings), default=0.0)
        return judged.calls >= _LONG_RUN and least >= _SURE * transition

    def saving(self, ip: int) -> float | None:
        """ns that a gap from the site is likely to save, of its traced ways the mean;
        None: none was traced.
        """
        savings = self._chains.savings(ip)
        return mean(saving.likely for saving in savings) if savings else None

    def _is_alone(self, ip: int, sites: Mapping[int, Site]) -> bool:
        best = self._chains.best(ip, lambda at: self._ends(at, sites))
        return best is not None and not self._forecast.earns(best)

    def _ends(self, ip: int, sites: Mapping[int, Site]) -> bool:
        """Whether no run goes on from there."""
        block = self._blocks.get(ip)
        if block is not None and block.stop:
            return True
        site = sites.get(ip)
        return site is not None and site.verdict in _ENDS
