#!/usr/bin/python3 -I
# SPDX-License-Identifier: GPL-2.0-only
"""Writes the service's configuration for one node: rules for pods, by their labels.

The service knows containers by their ids only, and is root: so it is this program,
which has no rights on the node, that asks the API server which pods carry which labels.
What it writes is ``--base`` as it stands and, behind that, a rule for each table of
``--pods`` of which there is a pod on this node. The service checks all of it.

Python's own library alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import ssl
import sys
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Api", "Gone", "Refused", "Wanted", "compose", "main", "read_wanted"]

#: Made by the kubelet in each container (projected volume of the DaemonSet).
_CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Of a container's id as the API has it: "containerd://3f2c...".
_SCHEME = "://"
_OVER = ("Succeeded", "Failed")
_WATCH_SECONDS = 60  # also the time within which a change of the files is noticed
_PAUSE_SECONDS = 1.0
_RETRY_SECONDS = 5.0
_RETRY_MOST = 60.0


class Refused(Exception):
    """A file is wrong; for people, with its name."""


class Gone(Exception):
    """The API server has forgotten where a watch was: list again."""


@dataclass(frozen=True)
class Wanted:
    """A table of the file of pods.

    All ``labels`` must be there; of a list, one. ``namespace`` and ``container``, the
    container's name, may be "". ``rule``: keys that go into the rule as they are.
    """

    name: str
    labels: Mapping[str, Sequence[str]]
    namespace: str = ""
    container: str = ""
    rule: Mapping[str, Any] = field(default_factory=dict)

    def ids(self, pod: Mapping[str, Any]) -> list[str]:
        """Of the pod, or of its container of that name; none if it is not meant."""
        meta = pod["metadata"]
        status = pod.get("status") or {}
        labels = meta.get("labels") or {}
        if self.namespace not in ("", meta.get("namespace")):
            return []
        if status.get("phase") in _OVER:
            return []
        if any(labels.get(key) not in values for key, values in self.labels.items()):
            return []
        if not self.container:
            return [meta["uid"]]
        found = []
        for kind in "containerStatuses", "initContainerStatuses":
            for each in status.get(kind) or []:
                _, scheme, number = (each.get("containerID") or "").partition(_SCHEME)
                if each["name"] == self.container and scheme:
                    found.append(number)
        return found


def read_wanted(path: Path) -> list[Wanted]:
    """What ``path`` says. Raises Refused."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}") from error
    rows = data.pop("pods", [])
    if data or not isinstance(rows, list):
        raise Refused(f"{path}: there are tables [[pods]] and nothing else")
    return [_wanted(path, row) for row in rows]


def _wanted(path: Path, row: Any) -> Wanted:
    if not isinstance(row, dict):
        raise Refused(f"{path}: write each as a table [[pods]]")
    row = dict(row)
    texts = {key: row.pop(key, "") for key in ("name", "namespace", "container")}
    labels = row.pop("labels", {})
    what = f"{path}: [[pods]] {texts['name']!r}"
    if not all(isinstance(text, str) for text in texts.values()) or not texts["name"]:
        raise Refused(
            f"{what}: name, namespace and container must be strings; name is required"
        )
    if not isinstance(labels, dict) or not labels:
        raise Refused(f"{what}: labels are required: a rule must not match all pods")
    listed = {k: v if isinstance(v, list) else [v] for k, v in labels.items()}
    if not all(isinstance(v, str) for values in listed.values() for v in values):
        raise Refused(f"{what}: a label must be a string, or a list of alternatives")
    for key, value in row.items():
        if not _is_plain(value):
            raise Refused(
                f"{what}: {key!r} must be a string, a number, a boolean, or a list"
            )
    return Wanted(labels=listed, rule=row, **texts)


def _is_plain(value: Any) -> bool:
    """What TOML and JSON write alike."""
    if isinstance(value, list):
        return all(isinstance(each, (str, int)) for each in value)
    return isinstance(value, (str, int))


def compose(base: str, wanted: Sequence[Wanted], pods: Sequence[Any]) -> str:
    """The configuration. Pods in any order give the same text."""
    parts = [base.rstrip() + "\n"]
    for each in wanted:
        ids = sorted({number for pod in pods for number in each.ids(pod)})
        if ids:
            rule = {"name": each.name, "container": ids, **each.rule}
            lines = [f"{_key(key)} = {_value(value)}" for key, value in rule.items()]
            parts.append("\n".join(["[[rule]]", *lines]) + "\n")
    return "\n".join(parts)


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    """Texts, numbers, truths and lists are written in TOML as in JSON."""
    return json.dumps(value, ensure_ascii=False)


class Api:
    """The pods of one node, as the API server at ``server`` has them."""

    def __init__(self, server: str, node: str, credentials: Path | None) -> None:
        self._server = server.rstrip("/")
        self._node = node
        self._credentials = credentials
        self._context = (
            ssl.create_default_context(cafile=str(credentials / "ca.crt"))
            if credentials is not None
            else None
        )

    def pods(self) -> tuple[dict[str, Any], str]:
        """All of them by uid, and the version from which to watch.

        From the server's cache: many nodes that ask at once cost it little.
        """
        with self._open({"resourceVersion": "0"}, 30) as answer:
            found = json.load(answer)
        pods = {pod["metadata"]["uid"]: pod for pod in found.get("items") or []}
        return pods, found["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[tuple[str, Any]]:
        """Events, for about a minute: ADDED, MODIFIED, DELETED or BOOKMARK, and a pod.

        Raises Gone if there are none from that version on.
        """
        more = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        try:
            with self._open(more, _WATCH_SECONDS + 30) as answer:
                for line in answer:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise Gone(event["object"].get("message", ""))
                    yield event["type"], event["object"]
        except urllib.error.HTTPError as error:
            if error.code == 410:
                raise Gone(str(error)) from error
            raise

    def _open(self, more: Mapping[str, str], seconds: float) -> Any:
        query = {"fieldSelector": f"spec.nodeName={self._node}", **more}
        address = f"{self._server}/api/v1/pods?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address)
        if self._credentials is not None:
            # It is renewed now and then.
            token = (self._credentials / "token").read_text().strip()
            request.add_header("Authorization", f"Bearer {token}")
        return urllib.request.urlopen(request, timeout=seconds, context=self._context)


class _Output:
    """The configuration that is written; its readers never see half of one."""

    def __init__(self, base: Path, wanted: Path, output: Path) -> None:
        self._base = base
        self._wanted = wanted
        self._output = output
        self._complaint = ""

    def write(self, pods: Mapping[str, Any]) -> None:
        """Raises Refused if one of the files is wrong."""
        try:
            base = self._base.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise Refused(f"{self._base}: {error}") from error
        text = compose(base, read_wanted(self._wanted), list(pods.values()))
        if self._output.exists() and self._output.read_text("utf-8") == text:
            return
        fresh = self._output.with_name(f".{self._output.name}.new")
        fresh.write_text(text, "utf-8")
        fresh.replace(self._output)
        _say(f"wrote {self._output}: {text.count('[[rule]]')} rules")

    def try_to_write(self, pods: Mapping[str, Any]) -> None:
        """What is wrong is said once, and the old configuration stays."""
        try:
            self.write(pods)
            self._complaint = ""
        except Refused as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                _say(f"refused: {error}")


def _follow(api: Api, output: _Output) -> None:
    """List, then watch from there, until the server has forgotten where that was."""
    pods, version = api.pods()
    output.try_to_write(pods)
    while True:
        began = time.monotonic()
        for kind, pod in api.watch(version):
            version = pod["metadata"]["resourceVersion"]
            if kind == "DELETED":
                pods.pop(pod["metadata"]["uid"], None)
            elif kind != "BOOKMARK":
                pods[pod["metadata"]["uid"]] = pod
            output.try_to_write(pods)
        # The files may be other ones by now.
        output.try_to_write(pods)
        # A server that ends each watch at once is not to be asked all the time.
        time.sleep(max(0.0, began + _PAUSE_SECONDS - time.monotonic()))


def _say(text: str) -> None:
    print(f"pods: {text}", file=sys.stderr, flush=True)


def _server() -> str:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write once, or go on for ever; 1 if that cannot be done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--base", type=Path, required=True, metavar="FILE")
    parser.add_argument("--pods", type=Path, required=True, metavar="FILE")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--once", action="store_true", help="write it, and end")
    parser.add_argument("--server", metavar="URL", help="default: that of this cluster")
    args = parser.parse_args(arguments)
    node = os.environ.get("NODE_NAME", "")
    if not node:
        _say("NODE_NAME is not set: which node is this?")
        return 1
    output = _Output(args.base, args.pods, args.output)
    wait = _RETRY_SECONDS
    while True:
        began = time.monotonic()
        try:
            api = Api(
                args.server or _server(), node, None if args.server else _CREDENTIALS
            )
            if args.once:
                output.write(api.pods()[0])
                return 0
            _follow(api, output)
        except Gone:
            time.sleep(_PAUSE_SECONDS)
            continue
        except Refused as error:
            _say(f"refused: {error}")
            return 1
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            # urllib's errors are of the first kind, an answer cut off of the others.
            _say(f"the API server does not answer: {error!r}")
            if args.once:
                return 1
        if time.monotonic() - began > _RETRY_MOST:
            wait = _RETRY_SECONDS
        time.sleep(wait)
        wait = min(wait * 2, _RETRY_MOST)


if __name__ == "__main__":
    sys.exit(main())
