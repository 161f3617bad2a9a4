# SPDX-License-Identifier: GPL-2.0-only
"""The service's figures for Prometheus: in a file for node_exporter, or by HTTP.

Series are by rule or by reason, never by process. A scrape returns the last published
figures, as in the file; it neither waits for the engine nor causes work there.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from ubypass.errors import UbError
from ubypass.service.config import Metrics
from ubypass.service.figures import DETACHMENT_REASONS, RuleFigures, Snapshot
from ubypass.version import VERSION

__all__ = ["Exporter", "families"]

_Labels = tuple[str, ...]


def families(now: Snapshot, *, up: bool = True) -> Iterator[Metric]:
    """All metrics. Names have base units; counters end with ``_total``."""
    yield _gauge("build_info", "The version.", [((VERSION,), 1)])
    yield _gauge("up", "Whether the service is running.", [((), up)])
    yield _gauge(
        "updated_timestamp_seconds", "Time of these figures.", [((), now.time)]
    )
    yield _gauge(
        "start_time_seconds", "Start time of the service.", [((), now.started)]
    )
    yield _gauge(
        "paused",
        "Whether an operator or the configuration has paused the service.",
        [((), bool(now.paused))],
    )
    yield from _configuration(now)
    yield from _processes(now)
    yield from _benefit(now)
    yield from _costs(now)
    if now.store is not None:
        yield from _store(now.store)


def _configuration(now: Snapshot) -> Iterator[Metric]:
    yield _gauge(
        "config_last_reload_successful",
        "Whether the configuration in the file is in force, as of the last reload.",
        [((), not now.reload_error)],
    )
    yield _gauge(
        "config_last_reload_success_timestamp_seconds",
        "Time when the configuration came into force.",
        [((), now.reloaded)],
    )
    yield _counter(
        "config_reloads",
        "Reloads of the configuration.",
        [((result,), n) for result, n in now.reloads.items()],
    )


def _processes(now: Snapshot) -> Iterator[Metric]:
    rules = now.rules
    yield _gauge(
        "processes", "Attached processes.", [((r.name,), r.processes) for r in rules]
    )
    yield _gauge(
        "boosted_processes",
        "Attached processes that have at least one live region.",
        [((r.name,), r.boosted) for r in rules],
    )
    reasons: dict[str, int] = {}
    for rule in rules:
        for reason, number in rule.declined.items():
            reasons[reason] = reasons.get(reason, 0) + number
    yield _gauge(
        "declined_processes",
        "Attached processes that run natively for a lasting reason.",
        [((reason,), n) for reason, n in reasons.items()],
    )
    yield _gauge(
        "waiting_processes",
        "Processes that match a rule but are not attached because of a limit.",
        [((), now.waiting)],
    )
    yield _counter(
        "attachments",
        "Processes attached so far.",
        [((r.name,), r.attached) for r in rules],
    )
    yield _counter(
        "detachments",
        "Processes detached so far.",
        # Zeros as well: Prometheus sees no increase in the first value of a series.
        [((r.name, why), r.ended.get(why, 0)) for r in rules for why in _whys(r)],
    )
    yield _counter(
        "refused_attachments",
        "Attachments that failed.",
        [
            ((rule,), now.refused.get(rule, 0))
            for rule in sorted({*now.refused, *(r.name for r in rules)})
        ],
    )


def _whys(rule: RuleFigures) -> list[str]:
    return sorted({*DETACHMENT_REASONS, *rule.ended})


def _benefit(now: Snapshot) -> Iterator[Metric]:
    rules = now.rules
    yield _counter(
        "system_calls",
        "System calls of attached processes that can be dispatched in the kernel, by "
        "path taken.",
        [
            ((r.name, path), n)
            for r in rules
            for path, n in (
                ("dispatched", r.totals.dispatched),
                ("native", r.totals.native),
            )
        ],
    )
    yield _counter(
        "runs",
        "Runs of translated code in the kernel.",
        [((r.name,), r.totals.runs) for r in rules],
    )
    yield _gauge(
        "saved_seconds",
        "Estimated CPU time saved so far minus the cost of runs; may decrease.",
        [((r.name,), r.totals.saved_ns / 1e9) for r in rules],
    )
    yield _counter(
        "exits",
        "Exits of runs from the kernel.",
        [((reason,), n) for reason, n in now.totals.exits.items()],
    )
    yield _counter(
        "declined_runs",
        "Runs that were declined.",
        [((reason,), n) for reason, n in now.totals.declines.items()],
    )
    yield _counter(
        "filtered_system_calls",
        "System calls made natively because a seccomp filter did not simply "
        "allow them.",
        [((r.name,), r.totals.filtered) for r in rules],
    )


def _costs(now: Snapshot) -> Iterator[Metric]:
    rules = now.rules
    yield _gauge("regions", "Live regions.", [((r.name,), r.regions) for r in rules])
    yield _gauge(
        "code_bytes",
        "Kernel memory of live translations.",
        [((r.name,), r.code_bytes) for r in rules],
    )
    yield _counter(
        "loads",
        "Translations loaded.",
        [((r.name,), r.totals.loads) for r in rules],
    )
    yield _counter(
        "build_cpu_seconds",
        "CPU time of the service spent translating.",
        [((r.name,), r.totals.build_seconds) for r in rules],
    )
    yield _counter("cpu_seconds", "CPU time of the service.", [((), now.cpu_seconds)])
    yield _counter(
        "throttled_seconds",
        "Time in which the service paused to stay within its share of CPU time.",
        [((), now.throttled_seconds)],
    )
    yield _gauge(
        "resident_memory_bytes", "Memory of the service.", [((), now.memory_bytes)]
    )
    yield _counter("looks", "Scans for new processes.", [((), now.looks)])


def _store(store: Mapping[str, int]) -> Iterator[Metric]:
    def rows(*results: str) -> list[tuple[_Labels, float]]:
        return [((result,), store[result]) for result in results]

    yield _counter(
        "store_translations",
        "Translations of the store that machines share, by what became of them.",
        rows("hits", "misses", "waits", "refused", "unshareable", "published"),
    )
    yield _counter(
        "store_requests",
        "Requests to the store, those of them that failed, and those not made.",
        rows("requests", "failures", "skipped"),
    )


#: Label names of the metrics with labels.
_LABELS: dict[str, tuple[str, ...]] = {
    "build_info": ("version",),
    "config_reloads": ("result",),
    "declined_processes": ("reason",),
    "detachments": ("rule", "reason"),
    "system_calls": ("rule", "path"),
    "exits": ("reason",),
    "declined_runs": ("reason",),
    "store_translations": ("result",),
    "store_requests": ("result",),
    **dict.fromkeys(
        (
            *("processes", "boosted_processes", "attachments", "refused_attachments"),
            *("runs", "saved_seconds", "filtered_system_calls", "regions"),
            *("code_bytes", "loads", "build_cpu_seconds"),
        ),
        ("rule",),
    ),
}


def _gauge(name: str, text: str, rows: Iterable[tuple[_Labels, float]]) -> Metric:
    labels = _LABELS.get(name, ())
    return _filled(GaugeMetricFamily(f"ubypass_{name}", text, labels=labels), rows)


def _counter(name: str, text: str, rows: Iterable[tuple[_Labels, float]]) -> Metric:
    labels = _LABELS.get(name, ())
    return _filled(CounterMetricFamily(f"ubypass_{name}", text, labels=labels), rows)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily,
    rows: Iterable[tuple[_Labels, float]],
) -> Metric:
    for labels, value in rows:
        family.add_metric(labels, float(value))
    return family


class _Last(Collector):
    """The last published metrics."""

    def __init__(self) -> None:
        self.metrics: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class Exporter:
    """Publishes figures at ``where``; :meth:`close` reports the end of the service."""

    def __init__(self, where: Metrics) -> None:
        """Raises ``UbError`` if the server cannot listen at the address."""
        self._registry = CollectorRegistry()
        self._last = _Last()
        self._registry.register(self._last)
        self._snapshot: Snapshot | None = None
        self._where = Metrics()
        self._server: ThreadingWSGIServer | None = None
        self._change(where)

    @property
    def port(self) -> int:
        """The port of the server; 0: no server."""
        return self._server.server_port if self._server is not None else 0

    def change(self, where: Metrics) -> None:
        """Publish at ``where`` from now on. After ``UbError`` nothing has changed."""
        if where != self._where:
            self._change(where)

    def publish(self, snapshot: Snapshot) -> None:
        """Publish ``snapshot``. Raises ``UbError`` if the file cannot be written."""
        self._snapshot = snapshot
        self._tell(up=True)

    def close(self) -> None:
        """Stop the server, and publish that the service is not up any more."""
        self._stop()
        if self._snapshot is not None:
            self._tell(up=False)

    def _tell(self, *, up: bool) -> None:
        assert self._snapshot is not None
        self._last.metrics = list(families(self._snapshot, up=up))
        textfile = self._where.textfile
        if textfile is None:
            return
        try:
            write_to_textfile(str(textfile), self._registry)
        except OSError as error:
            raise UbError(
                f"cannot write {textfile}: {error.strerror}",
                "choose another file with textfile of [metrics] in the configuration",
            ) from error

    def _change(self, where: Metrics) -> None:
        server = self._server
        if where.listen != self._where.listen:
            server = self._listen(where.listen) if where.listen else None
            self._stop()
        self._server = server
        if self._where.textfile != where.textfile and self._where.textfile is not None:
            # node_exporter would export a stale file forever.
            with contextlib.suppress(OSError):
                self._where.textfile.unlink()
        self._where = where

    def _listen(self, place: tuple[str, int]) -> ThreadingWSGIServer:
        host, port = place
        kind = _Server6 if ":" in host else _Server
        try:
            server = make_server(
                host, port, make_wsgi_app(self._registry), kind, _Handler
            )
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise UbError(
                f"cannot listen on {host}:{port}: {why}",
                "choose another address with listen of [metrics] in the configuration",
            ) from error
        Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return server

    def _stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingWSGIServer):
    """A server with a thread for each connection; closing does not wait for them."""

    daemon_threads = True
    block_on_close = False


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    """Does not log scrapes, and closes connections that are idle for too long."""

    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        pass
