# SPDX-License-Identifier: GPL-2.0-only
"""Labels of pods become rules that the service takes, and go on doing so."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import pytest

from tests.places import ROOT
from ubypass.service.cgroup import containers
from ubypass.service.config import parse
from ubypass.service.rules import Facts, first_match

_PROGRAM = ROOT / "deploy" / "kubernetes" / "image" / "pods.py"
_UID = "3f2c1b0a-1111-2222-3333-444455556666"
_OTHER = "aaaaaaaa-1111-2222-3333-444455556666"
_ID = "0123456789abcdef" * 4


def _imported() -> ModuleType:
    name = "ubypass_deploy_pods"
    spec = importlib.util.spec_from_file_location(name, _PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


pods = _imported()


def _pod(uid: str = _UID, version: str = "1", **labels: str) -> dict[str, Any]:
    status = {
        "phase": "Running",
        "containerStatuses": [
            {"name": "redis", "containerID": f"containerd://{_ID}"},
            {"name": "starting"},
        ],
    }
    meta = {
        "uid": uid,
        "namespace": "shop",
        "labels": labels,
        "resourceVersion": version,
    }
    return {"metadata": meta, "status": status}


def _wanted(tmp_path: Path, text: str) -> Any:
    file = tmp_path / "pods.toml"
    file.write_text(text)
    return pods.read_wanted(file)


@pytest.mark.parametrize(
    ("table", "ids"),
    [
        ('labels = { app = "redis" }', [_UID]),
        ('labels = { app = ["nginx", "redis"] }', [_UID]),
        ('labels = { app = "redis", tier = "cache" }', []),
        ('labels = { app = "redis" }\nnamespace = "shop"', [_UID]),
        ('labels = { app = "redis" }\nnamespace = "other"', []),
        ('labels = { app = "redis" }\ncontainer = "redis"', [_ID]),
        ('labels = { app = "redis" }\ncontainer = "starting"', []),
        ('labels = { app = "redis" }\ncontainer = "none"', []),
    ],
)
def test_who_is_meant(tmp_path: Path, table: str, ids: list[str]) -> None:
    (wanted,) = _wanted(tmp_path, f'[[pods]]\nname = "a"\n{table}\n')
    assert wanted.ids(_pod(app="redis")) == ids


def test_what_is_over_is_not_meant(tmp_path: Path) -> None:
    (wanted,) = _wanted(tmp_path, '[[pods]]\nname = "a"\nlabels = { a = "b" }\n')
    pod = _pod(a="b")
    pod["status"]["phase"] = "Succeeded"
    assert wanted.ids(pod) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1", "nothing else"),
        ("pods = 1", "nothing else"),
        ("pods = [1]", "as a table"),
        ("[[pods]]\nname = 'a'", "labels are required"),
        ("[[pods]]\nlabels = { a = 'b' }", "name is required"),
        ("[[pods]]\nname = 'a'\nlabels = { a = 1 }", "a label must be a string"),
        ("[[pods]]\nname = 'a'\nlabels = { a = 'b' }\nx = 2020-01-01", "'x' must be"),
        ("[[pods", "pods.toml: "),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(pods.Refused, match=why):
        _wanted(tmp_path, text)


@pytest.mark.parametrize("container", ["", "redis"])
def test_the_rule_is_met_by_processes_of_the_pod(
    tmp_path: Path, container: str
) -> None:
    """Seen from the daemon's container, whose control group is another one."""
    wanted = _wanted(
        tmp_path,
        '[[pods]]\nname = "redis"\nlabels = { app = "redis" }\n'
        f'container = "{container}"\nexe = "*/redis-\\"ä\\""\nchildren = true\n',
    )
    base = '[limits]\nprocesses = 3\n[[rule]]\nname = "first"\nexe = "/bin/first"'
    config = parse(pods.compose(base, wanted, [_pod(app="redis"), _pod(_OTHER)]))
    assert config.limits.processes == 3
    assert [rule.name for rule in config.rules] == ["first", "redis"]
    below = f"kubepods-burstable-pod{_UID.replace('-', '_')}.slice"
    for beside in "/kubepods.slice/kubepods-burstable.slice", "/../..":
        path = f"{beside}/{below}/cri-containerd-{_ID}.scope"
        facts = Facts(1, 1, '/usr/bin/redis-"ä"', 0, path, (), containers(path))
        found = first_match(config.rules, facts)
        assert found is not None
        assert (found.name, found.children) == ("redis", True)
    path = f"/../kubepods-pod{_OTHER.replace('-', '_')}.slice/cri-containerd-1.scope"
    facts = Facts(1, 1, '/usr/bin/redis-"ä"', 0, path, (), containers(path))
    assert first_match(config.rules, facts) is None


def test_without_such_pods_there_is_no_rule(tmp_path: Path) -> None:
    wanted = _wanted(tmp_path, '[[pods]]\nname = "a"\nlabels = { a = "b" }\n')
    assert parse(pods.compose("version = 1", wanted, [_pod()])).rules == ()


def test_the_order_of_pods_makes_no_difference(tmp_path: Path) -> None:
    wanted = _wanted(tmp_path, '[[pods]]\nname = "a"\nlabels = { a = "b" }\n')
    some = [_pod(_UID, a="b"), _pod(_OTHER, a="b")]
    text = pods.compose("", wanted, some)
    assert text == pods.compose("", wanted, some[::-1])
    assert parse(text).rules[0].container == (_UID, _OTHER)


class _Server:
    """An API server as far as it is asked: lists, and watches of queued events."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.events: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.asked: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.gone = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        self.paths.append(path)
        words = dict(urllib.parse.parse_qsl(query))
        self.asked.append(words)
        if "watch" in words and self.gone:
            self.gone -= 1
            request.send_error(410, "too old")
            return
        request.send_response(200)
        request.end_headers()
        if "watch" not in words:
            found = {"items": self.pods, "metadata": {"resourceVersion": "10"}}
            request.wfile.write(json.dumps(found).encode())
            return
        while (event := self.events.get()) is not None:
            with contextlib.suppress(OSError):
                request.wfile.write(json.dumps(event).encode() + b"\n")
                request.wfile.flush()

    def tell(self, kind: str, pod: dict[str, Any]) -> None:
        self.events.put({"type": kind, "object": pod})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setenv("NODE_NAME", "one")
    made = _Server()
    yield made
    made.events.put(None)
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "base.toml").write_text("version = 1\n")
    (tmp_path / "pods.toml").write_text(
        '[[pods]]\nname = "a"\nlabels = { app = "redis" }\n'
    )
    return [
        f"--base={tmp_path}/base.toml",
        f"--pods={tmp_path}/pods.toml",
        f"--output={tmp_path}/config.toml",
    ]


def test_once(server: _Server, files: list[str], tmp_path: Path) -> None:
    server.pods = [_pod(app="redis")]
    assert pods.main([*files, "--once", "--server", server.address]) == 0
    (rule,) = parse((tmp_path / "config.toml").read_text()).rules
    assert rule.container == (_UID,)
    assert server.paths == ["/api/v1/pods"]
    assert server.asked == [
        {"fieldSelector": "spec.nodeName=one", "resourceVersion": "0"}
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "base.toml",
        "config.toml",
        "pods.toml",
    ]


def test_once_without_a_server(
    server: _Server, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    server.http.server_close()
    assert pods.main([*files, "--once", "--server", server.address]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_once_with_a_wrong_file(
    server: _Server,
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "pods.toml").write_text("x = 1")
    assert pods.main([*files, "--once", "--server", server.address]) == 1
    assert capsys.readouterr().err.startswith("pods: refused: ")


def test_it_says_that_it_does_not_know_the_node(
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)
    assert pods.main([*files, "--once"]) == 1
    assert "NODE_NAME" in capsys.readouterr().err


@pytest.fixture
def following() -> Iterator[Callable[..., None]]:
    """Starts the program with options; it is ended behind the test."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> None:
            command = [sys.executable, str(_PROGRAM), *options]
            started = stack.enter_context(subprocess.Popen(command))
            stack.callback(started.kill)

        yield start


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_follows_pods_and_files(
    server: _Server,
    files: list[str],
    tmp_path: Path,
    following: Callable[..., None],
) -> None:
    output = tmp_path / "config.toml"
    following(*files, "--server", server.address)

    def met() -> list[tuple[str, ...]]:
        return [rule.container for rule in parse(output.read_text()).rules]

    _until(output.exists)
    assert met() == []
    server.tell("ADDED", _pod(version="11", app="redis"))
    _until(lambda: met() == [(_UID,)])
    server.tell("BOOKMARK", {"metadata": {"resourceVersion": "12"}})
    server.tell("MODIFIED", _pod(version="13", app="other"))
    _until(lambda: met() == [])
    server.tell("MODIFIED", _pod(version="14", app="redis"))
    server.tell("ADDED", _pod(_OTHER, version="15", app="redis"))
    _until(lambda: met() == [(_UID, _OTHER)])
    server.tell("DELETED", _pod(version="16", app="redis"))
    _until(lambda: met() == [(_OTHER,)])
    # The next watch goes on where this one has ended, and files are read again.
    (tmp_path / "base.toml").write_text("[service]\npaused = true\n")
    server.events.put(None)
    _until(lambda: parse(output.read_text()).paused)
    _until(lambda: server.asked[-1].get("resourceVersion") == "16")
    # What is wrong changes nothing.
    (tmp_path / "pods.toml").write_text("x = 1")
    server.tell("DELETED", _pod(_OTHER, version="17", app="redis"))
    server.events.put(None)
    _until(lambda: server.asked[-1].get("resourceVersion") == "17")
    assert met() == [(_OTHER,)]
    (tmp_path / "pods.toml").write_text(
        '[[pods]]\nname = "b"\nlabels = { app = "redis" }\n'
    )
    # The server has forgotten that version.
    server.pods = [_pod(version="20", app="redis")]
    server.gone = 1
    server.events.put(None)
    _until(lambda: met() == [(_UID,)])
    assert parse(output.read_text()).rules[0].name == "b"
