# SPDX-License-Identifier: GPL-2.0-only
"""nginx as the artifact of the paper on Userspace Bypass configures it.

The artifact's ``nginx.conf`` is not available. Known from its README: nginx 1.20.0; one
worker process, pinned to one CPU by ``worker_cpu_affinity``; port 8088; the root has
files named ``4k.html``. The hot calls it lists (openat, setsockopt, writev, sendfile,
close) are those of ``sendfile on`` with ``tcp_nopush on``. The rest is the default of
Ubuntu 20.04: 768 connections, ``tcp_nodelay on``, ``keepalive_timeout 65``,
``types_hash_max_size 2048``, ``gzip on``, which needs a client that asks for it; the
1,000 requests per connection are nginx' own default.

Not as there: the log is off unless it is asked for; only the loopback interface; files
of random instead of zero bytes, so that replies can be checked; the worker is root,
because the files are in a private directory; 64 connections instead of 1,024 from one
thread of wrk instead of eight. With one processor, more of them only make the batches
of ``epoll_wait`` longer.
"""

from __future__ import annotations

import os
from collections.abc import Collection

__all__ = ["CLIENTS", "CONF", "PORT", "affinity", "pinned_to"]

PORT = 8088

#: Connections of the load.
CLIENTS = 64

CONF = """
daemon {daemon};
user root;
worker_processes 1;
worker_cpu_affinity {affinity};
pid {home}/pid;
error_log {home}/errors warn;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 65;
    types_hash_max_size 2048;
    types {{ text/html html; }}
    default_type application/octet-stream;
    access_log {log};
    gzip on;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{ listen 127.0.0.1:{port}; root {home}/www; }}
}}
"""


def pinned_to(cpus: Collection[int] | None = None) -> int:
    """The CPU for the worker: the last of ``cpus`` (default: those we may use).

    With only one, CPU 0 of a guest, server and load share it.
    """
    return max(os.sched_getaffinity(0) if cpus is None else cpus)


def affinity(cpu: int) -> str:
    """``cpu`` as nginx writes it in ``worker_cpu_affinity``: a mask, CPU 0 last."""
    return f"{1 << cpu:b}"
