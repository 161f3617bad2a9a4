# SPDX-License-Identifier: GPL-2.0-only
"""Puts this machine's translations into the store, in the background.

One thread, which translates and sends. The engine goes on meanwhile, but for the time
of one translation at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ubypass.abi import Abi, Translation
from ubypass.errors import UbError
from ubypass.region.graph import Region
from ubypass.store.backend import Backend
from ubypass.store.figures import Figures
from ubypass.store.placement import NotShareable, Placement
from ubypass.store.portable import make_portable
from ubypass.store.signing import Signer
from ubypass.store.wire import WireError, encoded
from ubypass.translate.translate import translate

__all__ = ["Offer", "Publisher"]

#: Offers that wait; more are dropped.
_MOST = 32

#: Seconds for a request: nobody waits.
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A region to translate for others, not before ``due``.

    ``careful``: as for the translator; ``replaces``: what is stored was refused.
    """

    due: float
    address: str
    region: Region
    placement: Placement
    careful: bool
    replaces: bool


class Publisher:
    """Publishes for modules with ``abi``; :meth:`start` starts the thread.

    ``lock`` is held during each translation.
    """

    def __init__(
        self,
        abi: Abi,
        backend: Backend,
        signer: Signer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.figures = Figures()
        self.lock = threading.Lock()
        self._abi = abi
        self._backend = backend
        self._signer = signer
        self._clock = clock
        self._offers: list[Offer] = []
        self._changed = threading.Condition()
        self._closed = False

    def start(self) -> None:
        """Publish from now on."""
        threading.Thread(target=self._work, name="publisher", daemon=True).start()

    def add(self, offer: Offer) -> None:
        """Publish this when it is due; dropped if too many wait."""
        with self._changed:
            if len(self._offers) < _MOST and not self._closed:
                self._offers.append(offer)
                self._changed.notify()

    def close(self) -> None:
        """Drop what waits."""
        with self._changed:
            self._closed = True
            self._offers.clear()
            self._changed.notify()

    def publish_due(self) -> bool:
        """Publish one offer that is due; whether there was one."""
        with self._changed:
            if self._pause() != 0.0:
                return False
            offer = min(self._offers, key=_due)
            self._offers.remove(offer)
        try:
            self._publish(offer)
        except (NotShareable, WireError, UbError):
            self.figures.unshareable += 1
        except Exception:
            # Also what a library raises unexpectedly: the thread goes on.
            self.figures.failures += 1
        return True

    def _pause(self) -> float | None:
        """Seconds until an offer is due; None: there is none."""
        if not self._offers:
            return None
        return max(0.0, min(map(_due, self._offers)) - self._clock())

    def _work(self) -> None:
        while not self._closed:
            with self._changed:
                pause = self._pause()
                if pause != 0.0 and not self._closed:
                    self._changed.wait(pause)
                    continue
            self.publish_due()

    def _publish(self, offer: Offer) -> None:
        if not offer.replaces:
            self.figures.requests += 1
            if self._backend.get(offer.address, _SECONDS) is not None:
                return  # another machine was faster
        portable = make_portable(
            offer.region,
            offer.placement,
            partial(self._translate, careful=offer.careful),
        )
        data = self._signer.closed(offer.address, encoded(portable))
        self.figures.requests += 1
        if self._backend.put(
            offer.address, data, _SECONDS, if_absent=not offer.replaces
        ):
            self.figures.published += 1

    def _translate(self, region: Region, *, careful: bool) -> Translation:
        with self.lock:
            return translate(region, self._abi, careful=careful)


def _due(offer: Offer) -> float:
    return offer.due
