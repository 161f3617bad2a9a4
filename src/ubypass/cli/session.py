# SPDX-License-Identifier: GPL-2.0-only
"""What ``run`` and ``attach`` share: a prepared engine of their own.

A :class:`Session` imports all modules and opens the device before a program starts, so
that nothing slow delays the program's first boost.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ubypass import processor
from ubypass.abi import Abi
from ubypass.cli.summary_report import print_report, say
from ubypass.cost.model import Model, model_of
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable
from ubypass.engine.admission import EMULATED_DISTINCT, AdmissionPolicy
from ubypass.engine.build import Builder
from ubypass.engine.clock import longest_ns, slowness
from ubypass.engine.control import Control, Handler, LastingHandler
from ubypass.engine.engine import Engine
from ubypass.engine.peak_rss import peak_rss_bytes
from ubypass.engine.policy import Policy
from ubypass.engine.ports import SharedLike
from ubypass.engine.recording import Recorder
from ubypass.engine.regions import Caps
from ubypass.engine.requests import serve_detach, serve_explain, serve_stats
from ubypass.engine.summary import Summary
from ubypass.engine.trial import TrialPolicy
from ubypass.errors import UbError
from ubypass.process.namespace import require_own_proc

__all__ = ["Session"]


class Session:
    """An engine with its device and control socket; a context manager.

    Raises ``UbError`` when the module is missing or root is needed.
    """

    def __init__(
        self,
        tune: Mapping[Tunable, int],
        *,
        caps: Caps | None = None,
        quiet: bool = False,
        record: str | None = None,
        model: str | None = None,
        trust: bool = False,
        log: Callable[[str], None] | None = None,
        handlers: Mapping[str, Handler] | None = None,
        lasting: Mapping[str, LastingHandler] | None = None,
        shared: Callable[[Abi], SharedLike | None] = lambda abi: None,
    ) -> None:
        """``model``: decide by this model of ``models.toml`` instead of measured times.
        ``trust``: all processes are trusted programs (docs/security.md).

        ``log``: takes lines instead of the terminal. ``handlers``: of further requests
        on the control socket; with them, the session fails without the socket.
        ``lasting``: of those that keep their connection.
        ``shared``: opens the translations of other machines, or returns None.
        """
        self._quiet = quiet
        self._say = log
        self._began = time.monotonic()
        require_own_proc()
        self.device = Device()
        self.engine: Engine | None = None
        self._control: Control | None = None
        self._summaries: tuple[Summary, ...] = ()
        #: ``ub module unload`` asks for an end: programs are to continue natively.
        self.leaving = False
        try:
            here = model_of()
            longest = longest_ns(here)
            admission = _admission(here, model)
            _tune(self.device, tune, longest, admission)
            abi = self.device.info()
            trusted_abi = replace(abi, trusted=True)
            builder, trusted = Builder(abi, shared(abi)), Builder(trusted_abi)
            builder.warm_up()
            file = Path(record) if record else None
            self.engine = Engine(
                self.device,
                build=Recorder(builder, abi, file) if file else builder,
                build_trusted=Recorder(trusted, trusted_abi, file) if file else trusted,
                policy=Policy(
                    caps=caps or Caps(),
                    admission=admission,
                    trial=TrialPolicy().slower(slowness(here, longest)),
                ),
                log=self.log,
            )
            self.engine.trust_if(lambda pid: trust)
            self._control = self._listen(self.engine, handlers, lasting)
        except BaseException:
            self.close()
            raise
        # All objects so far are permanent: exclude them from garbage collections.
        gc.collect()
        gc.freeze()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def loop(self) -> Engine:
        """The engine, before :meth:`close`."""
        assert self.engine is not None
        return self.engine

    def log(self, line: str) -> None:
        """Print a line for people; the terminal may be gone."""
        if self._say is not None:
            self._say(line)
        elif not self._quiet:
            say(line)

    def close(self) -> None:
        """Detach all processes, which continue natively."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.engine is not None:
            self.engine.close()
            self._summaries = self.engine.summaries()
            self.engine = None
        self.device.close()

    def report(
        self, *, as_json: bool, file: str | None, extra: Mapping[str, Any]
    ) -> None:
        """Print the summary to stderr and, as JSON, to ``file`` if given."""
        print_report(
            [summary.as_json() for summary in self._summaries],
            peak=peak_rss_bytes(),
            by_service=False,
            as_json=as_json,
            file=file,
            quiet=self._quiet,
            extra=extra,
        )

    def _leave(self, engine: Engine, request: Mapping[str, Any]) -> dict[str, Any]:
        self.log("the module is to be unloaded: all processes continue natively")
        self.leaving = True
        return {"processes": len(engine.targets)}

    def _listen(
        self,
        engine: Engine,
        more: Mapping[str, Handler] | None,
        lasting: Mapping[str, LastingHandler] | None,
    ) -> Control | None:
        try:
            return Control(
                engine,
                {
                    "stats": partial(serve_stats, engine),
                    "explain": partial(serve_explain, engine),
                    "detach": partial(serve_detach, engine),
                    "leave": partial(self._leave, engine),
                    **(more or {}),
                },
                lasting=lasting,
            )
        except UbError as error:
            if more:
                raise
            self.log(f"not visible to 'ub stats': {error.message}")
            return None


def _admission(here: Model, named: str | None) -> AdmissionPolicy:
    """The policy for this machine, whose model is ``here``, or a ``named`` model."""
    emulated = processor.is_emulated()
    policy = AdmissionPolicy(
        here if named is None else model_of(named),
        model_decides=named is not None or emulated,
    )
    return replace(policy, max_distinct=EMULATED_DISTINCT) if emulated else policy


def _tune(
    device: Device, tune: Mapping[Tunable, int], gap: int, admission: AdmissionPolicy
) -> None:
    # The module's defaults are for an unknown machine. Gaps have loops.
    steps = 2 * admission.max_distinct
    wanted = {Tunable.GAP_NS: gap, Tunable.PATH_STEPS: steps, **tune}
    for what, value in wanted.items():
        device.tune(what, value)
