# SPDX-License-Identifier: GPL-2.0-only
"""A real Prometheus on the loopback device, over figures that were recorded.

Debian's package has both programs; nothing of it has to run as a service.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["PACKAGE", "Answers", "Refused", "found", "serving"]

PACKAGE = "prometheus"
#: Seconds; only ends what hangs.
_LIMIT = 120.0
#: Figures of a test are old, and must not be deleted.
_KEEP = "100y"


class Refused(Exception):
    """Prometheus does not accept a query."""


def found() -> bool:
    """Whether the programs are there."""
    return all(shutil.which(program) for program in ("prometheus", "promtool"))


class Answers:
    """What a Prometheus at ``address`` answers. Times are seconds of the epoch."""

    def __init__(self, address: str) -> None:
        self._address = address

    def at(self, expression: str, moment: float) -> Sequence[Mapping[str, Any]]:
        """The series of an expression, each with ``metric`` and one ``value``.

        Raises Refused, as the others do.
        """
        found: list[Any] = self._ask("query", query=expression, time=moment)["result"]
        return found

    def between(
        self, expression: str, start: float, end: float, step: float
    ) -> Sequence[Mapping[str, Any]]:
        """The series of an expression, each with ``metric`` and ``values``."""
        found: list[Any] = self._ask(
            "query_range", query=expression, start=start, end=end, step=step
        )["result"]
        return found

    def label_values(self, metric: str, label: str) -> Sequence[str]:
        """Values of a label of a metric."""
        query = {"match[]": metric, "start": 0}
        found: list[str] = self._ask(f"label/{label}/values", **query)
        return found

    def _ask(self, what: str, **query: Any) -> Any:
        words = urllib.parse.urlencode(query)
        request = f"{self._address}/api/v1/{what}?{words}"
        try:
            with urllib.request.urlopen(request, timeout=_LIMIT) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error).get("error", str(error))) from error


@contextmanager
def serving(metrics: Path) -> Iterator[Answers]:
    """A Prometheus with the figures of a file of OpenMetrics; it ends with this.

    Raises Refused if promtool does not accept the file.
    """
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        made = subprocess.run(
            [
                *("promtool", "tsdb", "create-blocks-from", "openmetrics"),
                *(str(metrics), str(place / "data")),
            ],
            capture_output=True,
            text=True,
        )
        if made.returncode != 0:
            raise Refused(made.stderr)
        (place / "empty.yml").write_text("")
        address = f"127.0.0.1:{_port()}"
        command = [
            "prometheus",
            f"--config.file={place / 'empty.yml'}",
            f"--storage.tsdb.path={place / 'data'}",
            f"--storage.tsdb.retention.time={_KEEP}",
            f"--web.listen-address={address}",
            "--log.level=error",
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            try:
                _wait(server, f"http://{address}")
                yield Answers(f"http://{address}")
            finally:
                server.kill()


def _port() -> int:
    """A free one; whoever takes it in between makes the start fail."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(server: subprocess.Popen[str], address: str) -> None:
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        if server.poll() is not None:
            raise ChildProcessError(server.communicate()[1])
        try:
            with urllib.request.urlopen(f"{address}/-/ready", timeout=_LIMIT):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("prometheus does not come up")
