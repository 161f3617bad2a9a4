# SPDX-License-Identifier: GPL-2.0-only
"""An HTTP server that keeps objects, for tests: plain, or one that checks signatures.

The check of S3 signatures follows Amazon's description ("Authenticating Requests:
Using the Authorization Header (AWS Signature Version 4)") and shares nothing with the
client.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCESS, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "eu-central-1"


@dataclass
class Objects:
    """What the server has and does. ``mode``: how it misbehaves."""

    stored: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    mode: str = ""
    signed: bool = False
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bucket"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: Objects

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._served(b"")

    def do_PUT(self) -> None:
        self._served(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def _served(self, body: bytes) -> None:
        objects = self.objects
        objects.requests.append(f"{self.command} {self.path}")
        if objects.mode == "hang":
            time.sleep(600)
        if objects.mode == "error":
            self._answer(500, b"broken")
        elif objects.mode == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.1/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif objects.mode == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(1 << 16))
            except OSError:
                self.close_connection = True
        elif objects.signed and not self._is_signed(body):
            self._answer(403, b"SignatureDoesNotMatch")
        elif self.command == "GET":
            data = objects.stored.get(self.path)
            self._answer(404 if data is None else 200, data or b"")
        else:
            self._put(body)

    def _put(self, body: bytes) -> None:
        with self.objects.lock:
            exists = self.path in self.objects.stored
            if exists and self.headers.get("If-None-Match") == "*":
                self._answer(412, b"PreconditionFailed")
                return
            self.objects.stored[self.path] = body
        self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_signed(self, body: bytes) -> bool:
        kind, _, rest = self.headers.get("Authorization", "").partition(" ")
        parts = dict(p.strip().split("=", 1) for p in rest.split(",") if "=" in p)
        if kind != "AWS4-HMAC-SHA256":
            return False
        names = parts["SignedHeaders"].split(";")
        when = self.headers["X-Amz-Date"]
        digest = hashlib.sha256(body).hexdigest()
        if self.headers["X-Amz-Content-SHA256"] != digest:
            return False
        request = "\n".join(
            [
                self.command,
                self.path,
                "",
                *(f"{name}:{self.headers[name].strip()}" for name in names),
                "",
                ";".join(names),
                digest,
            ]
        )
        scope = f"{when[:8]}/{REGION}/s3/aws4_request"
        hashed = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{hashed}"
        key = f"AWS4{SECRET}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        expected = hmac.new(key, text.encode(), "sha256").hexdigest()
        return (
            parts["Credential"] == f"{ACCESS}/{scope}"
            and parts["Signature"] == expected
        )


@contextmanager
def serving(*, signed: bool = False) -> Iterator[Objects]:
    """A server on a free port, as long as the context lasts."""
    objects = Objects(signed=signed)
    handler = type("Handler", (_Handler,), {"objects": objects})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    objects.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield objects
    finally:
        server.shutdown()
        server.server_close()
