# SPDX-License-Identifier: GPL-2.0-only
"""The service in the lab for some minutes, recorded for the pictures of docs/.

    make pictures

runs it, and records for twelve minutes from when the copy and redis are boosted, and
until the last figures show how it ended.

Writes ``top.svg``, and ``metrics.om``: all that the service has published, with times.
Programs come and go, an operator pauses, and a configuration is wrong for a while, so
that the dashboard has something to show. An emulator is slow: the module's thresholds
are lower than elsewhere, and the rates are not those of a real machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from tests.guest.command import UB, run_ub
from tests.pictures import openmetrics, terminal

__all__ = [
    *("LOOK", "TOP", "WRONG"),
    *("Recorder", "configuration", "executed", "figure", "main"),
]

#: Seconds from one look for new figures to the next.
LOOK = 1.0
#: What ``ub top`` shows once redis has a rate of dispatched calls.
TOP = r"redis-server +\S+( [kM])? +[1-9]"
#: Added to the configuration, this makes it wrong.
WRONG = "[limits\n"

_LINES = 12
_PATIENCE = 1200.0  # seconds; only ends what hangs
_INTERVAL = 5.0  # seconds between two figures of the service
_BOOSTED = 1000  # dispatched calls of a rule whose program is taken for boosted
_TRACED = 4711  # the user of a program that a tracer looks at

_CONFIG = """
[service]
scan_seconds = 2
[limits]
cpu_percent = 100
memory_mib = 4096
[metrics]
interval_seconds = {interval}
[tune]
hot_calls = 8
window_ms = 2000
gap_ns = 1000000
grace_ms = 0
share_bits = 0
[[rule]]
name = "traced"
exe = "{dd}"
user = {traced}
[[rule]]
name = "copy"
exe = "{dd}"
[[rule]]
name = "redis"
exe = "{redis}"
[[rule]]
name = "web"
exe = "{nginx}"
"""

_NGINX = """
user root;
daemon off;
pid {home}/pid;
error_log {home}/errors warn;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{ listen 127.0.0.1:18080; root {home}; }}
}}
"""

_DD = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64")
_REDIS = ("redis-server", "--port", "16379", "--bind", "127.0.0.1", "--save", "")
# Loads that leave time for others: a shell that ends with its program. That of redis
# lasts long enough for a region to be worth its build.
_ASK = "redis-benchmark -p 16379 -q -c 4 -n 1000 -t get,set >/dev/null; sleep 1"
_FETCH = "wrk -t 1 -c 2 -d 2s http://127.0.0.1:18080/page >/dev/null; sleep 2"


_Child = subprocess.Popen[bytes]


@contextlib.contextmanager
def _started(words: Sequence[str], says: IO[bytes]) -> Iterator[_Child]:
    with subprocess.Popen(
        words, stdout=says, stderr=says, start_new_session=True
    ) as child:
        try:
            yield child
        finally:
            # A tracer's program does not end with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, 9)


def executed(program: str) -> str:
    """What ``/proc/PID/exe`` says of it; redis-server is a link in Debian."""
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"there is no {program}: tools/packages.sh test")
    return str(Path(found).resolve())


def _until(done: Callable[[], bool], what: str) -> None:
    """Wait for what takes an emulator on a busy machine minutes."""
    end = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"in vain: {what}")
        time.sleep(1)


class Recorder(threading.Thread):
    """Keeps all figures that the service publishes, until :meth:`stop`.

    ``samples``: all of them, as lines of OpenMetrics; ``text``: the last, as published.
    """

    def __init__(self, source: Path) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._stopped = threading.Event()
        self._last = 0.0
        self.samples: list[str] = []
        self.text = ""

    def run(self) -> None:
        """Look again and again."""
        while not self._stopped.wait(LOOK):
            try:
                text = self._source.read_text("utf-8")
            except FileNotFoundError:  # the session has failed and says why
                return
            when = openmetrics.value(text, "ubypass_updated_timestamp_seconds")
            if when > self._last:
                self._last = when
                self.samples += openmetrics.samples(text, when)
                self.text = text

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        self.join()


def figure(text: str, name: str, **labels: str) -> float:
    """One of those that are published as ``text``; 0.0 if it is not there."""
    try:
        return openmetrics.value(text, name, **labels)
    except LookupError:
        return 0.0


def configuration(dd: str, redis: str, nginx: str) -> str:
    """That of the service, by the paths of the programs."""
    return _CONFIG.format(
        dd=dd, redis=redis, nginx=nginx, traced=_TRACED, interval=_INTERVAL
    )


def _record(home: Path, out: Path, seconds: float) -> None:
    config, textfile = home / "config.toml", home / "ub.prom"
    programs = map(executed, ("dd", "redis-server", "nginx"))
    right = configuration(*programs)
    config.write_text(right)
    (home / "nginx.conf").write_text(_NGINX.format(home=home))
    (home / "page").write_bytes(b"x" * 4096)
    # Beside all others on an emulated processor, builds would take minutes, and nobody
    # who asks would get an answer.
    service = ("nice", "-n", "-15", *UB, "service", "run", "--config", str(config))
    traced = ("setpriv", f"--reuid={_TRACED}", "--clear-groups", "strace", "-qq")
    recorder = Recorder(textfile)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((out / "session.log").open("wb"))

        def start(*words: str) -> _Child:
            return stack.enter_context(_started(words, log))

        # First, while nothing else needs the processor.
        start(*service, "--textfile", str(textfile))
        _until(textfile.exists, f"a start of the service, see {log.name}")
        start(*_REDIS, "--dir", str(home))
        start("nginx", "-c", str(home / "nginx.conf"), "-p", str(home))
        # Without end and without sleep, it would take all the time of the others.
        copy = start("nice", "-n", "19", *_DD)
        for load in _ASK, _FETCH:
            start("sh", "-c", f"while true; do {load}; done")

        def boosted(rule: str) -> bool:
            labels = {"path": "dispatched", "rule": rule}
            text = textfile.read_text("utf-8")
            return figure(text, "ubypass_system_calls_total", **labels) > _BOOSTED

        for rule in "copy", "redis":
            _until(lambda rule=rule: boosted(rule), f"{rule} boosted, see {log.name}")
        _until(lambda: run_ub("stats")["status"] == 0, "an answer of the service")
        begin = time.monotonic()
        recorder.start()

        def at(part: float) -> None:
            time.sleep(max(0.0, begin + seconds * part - time.monotonic()))

        at(0.25)
        _take(out / "top.svg")
        at(0.35)
        start("nice", *traced, "-e", "trace=none", "-o", "/dev/null", *_DD)
        at(0.5)
        run_ub("service", "pause")
        at(0.58)
        run_ub("service", "resume")
        at(0.68)
        config.write_text(right + WRONG)
        run_ub("service", "reload")
        at(0.75)
        config.write_text(right)
        run_ub("service", "reload")
        os.killpg(copy.pid, 9)
        at(0.85)
        start("nice", "-n", "19", *_DD)
        at(1.0)
        # The service is slow here: the last figures may be of the wrong configuration.
        name = "ubypass_config_last_reload_successful"
        _until(lambda: figure(recorder.text, name) == 1, "a right configuration")
        recorder.stop()
    openmetrics.write(out / "metrics.om", recorder.samples)


def _take(file: Path) -> None:
    """When redis has a rate, with the first process chosen."""
    steps = [terminal.Step(TOP, "k" * 9), terminal.Step(TOP, "q")]
    drawing = terminal.shown([*UB, "top"], _LINES, steps)
    file.write_text(terminal.picture(drawing, _LINES), "utf-8")


def main() -> None:
    """Record as the command line says."""
    parser = argparse.ArgumentParser(
        prog="tests.pictures.session", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("out", type=Path, metavar="DIRECTORY")
    parser.add_argument("--minutes", type=float, default=12.0, metavar="MINUTES")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        _record(Path(home), args.out, args.minutes * 60)


if __name__ == "__main__":
    main()
