# SPDX-License-Identifier: GPL-2.0-only
"""A real browser without a window, driven through a pipe by its DevTools protocol.

Debian's chromium-headless-shell or chromium; no other program, and no network.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["PACKAGE", "Page", "found", "opened"]

PACKAGE = "chromium-headless-shell"
_PROGRAMS = ("chromium-headless-shell", "chromium")

# Commands come in here, and answers and events go out, each with a zero at its end.
_IN, _OUT = 3, 4

# Only ends what hangs; a busy machine may take long.
_SECONDS = 300


def found() -> str | None:
    """Path of a browser of this machine."""
    paths = (shutil.which(program) for program in _PROGRAMS)
    return next((path for path in paths if path), None)


class Page:
    """One page, ``width`` pixels wide. ``events``: what the browser has told so far,
    by name.
    """

    def __init__(self, into: int, out: int) -> None:
        self._into, self._out = into, out
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.width = 0
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def open(self, file: Path, width: int, dark: bool) -> None:
        """Show ``file`` in a window of ``width`` pixels; return when it is loaded."""
        self.width = width
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self._ask("Page.navigate", url=file.as_uri())
        while "Page.loadEventFired" not in (name for name, _ in self.events):
            self._event(self._message())

    def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to."""
        answer = self._ask(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def told(self, name: str) -> list[Mapping[str, Any]]:
        """Events of that name since the page was opened."""
        return [event for known, event in self.events if known == name]

    def picture(self, clip: Mapping[str, float] | None = None) -> bytes:
        """The whole page, or a part of it, as PNG."""
        options = {} if clip is None else {"clip": {"scale": 1, **clip}}
        answer = self._ask(
            "Page.captureScreenshot", captureBeyondViewport=True, **options
        )
        return base64.b64decode(answer["data"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            asked["sessionId"] = self._session
        os.write(self._into, json.dumps(asked).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._event(message)

    def _event(self, message: Mapping[str, Any]) -> None:
        self.events.append((message.get("method", ""), message.get("params", {})))

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._out, 1 << 16)
            assert more, "the browser has ended"
            self._rest += more
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message


@contextmanager
def opened() -> Iterator[Page]:
    """A browser with nothing open yet; it ends with the context."""
    program = found()
    assert program is not None
    into_read, into = os.pipe()
    out, out_write = os.pipe()
    with tempfile.TemporaryDirectory() as home:
        command = [
            program,
            "--headless",
            "--remote-debugging-pipe",
            "--no-sandbox",  # root has none
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--hide-scrollbars",
            f"--user-data-dir={home}/profile",
        ]
        # The shell puts the pipes where the browser expects them.
        script = f'exec "$@" {_IN}<&{into_read} {_OUT}>&{out_write}'
        process = subprocess.Popen(
            ["timeout", str(_SECONDS), "bash", "-c", script, "sh", *command],
            pass_fds=(into_read, out_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": home},
            start_new_session=True,
        )
        os.close(into_read)
        os.close(out_write)
        try:
            yield Page(into, out)
        finally:
            os.close(into)
            os.close(out)
            # All processes of the browser, which is its own session.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
