# SPDX-License-Identifier: GPL-2.0-only
"""The service's configuration: the format of the file and its meaning.

A file with any error is refused as a whole; the message has the file name, the line and
the reason.
"""

from __future__ import annotations

import pwd
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from ubypass.device.tunables import TUNABLES
from ubypass.device.uapi import Tunable
from ubypass.errors import UbError
from ubypass.files import read_text
from ubypass.service.lines import Place, find_lines
from ubypass.service.rules import Rule

__all__ = [
    "CONFIG_FILE",
    "EX_CONFIG",
    "VERSION",
    "Config",
    "Limits",
    "Metrics",
    "Store",
    "address",
    "load",
    "parse",
    "usual_textfile",
]

CONFIG_FILE = Path("/etc/ubypass/config.toml")

#: Version of the file format; a file of another version is refused.
VERSION = 1

#: Exit status for a refused file: EX_CONFIG of sysexits.h.
EX_CONFIG = 78

_NODE_EXPORTER = (
    Path("/var/lib/prometheus/node-exporter"),  # Debian's package
    Path("/var/lib/node_exporter/textfile_collector"),
)
_TEXTFILE = "ubypass.prom"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_RULES_MOST = 200
_NAME = re.compile(r"[\w.@:-]{1,64}")
_UNIT = re.compile(r"\.(service|scope|slice|socket|mount|swap)$")


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of the service's resources.

    ``cpu_percent`` of one CPU, averaged over a minute; ``memory_mib``: resident memory
    of the daemon above which nothing more is attached; ``processes`` attached at a
    time; ``regions`` and ``code_kib`` of each process.
    """

    cpu_percent: float = 10.0
    memory_mib: int = 512
    processes: int = 64
    regions: int = 8
    code_kib: int = 512


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where figures are published; ``interval``: seconds between two reads of counters.

    ``textfile``: a file for node_exporter, or None. ``listen``: host and port, or None.
    """

    textfile: Path | None = None
    listen: tuple[str, int] | None = None
    interval: float = 15.0


@dataclass(frozen=True, slots=True)
class Store:
    """The store of translations that a fleet shares (``docs/store.md``).

    ``place``: a directory, or a URL; ``public_key``: file of the keys whose signatures
    count; ``private_key``: file of the key to sign with, None: nothing is published.
    ``timeout``: seconds to wait for an answer; ``wait``: seconds to wait, in all, for a
    translation that another machine makes. ``region``: of S3.
    """

    place: str
    public_key: Path
    private_key: Path | None = None
    timeout: float = 0.2
    wait: float = 2.0
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class Config:
    """A whole file. ``scan_seconds``: seconds between two scans for new processes.

    ``store``: None: nothing is shared.

    ``warnings``: texts for people about valid settings with a doubtful effect.
    """

    rules: tuple[Rule, ...] = ()
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    tune: Mapping[Tunable, int] = field(default_factory=dict)
    paused: bool = False
    scan_seconds: float = 2.0
    store: Store | None = None
    warnings: tuple[str, ...] = ()


def load(path: Path) -> Config:
    """Read the file. Raises ``UbError`` with file, line and reason."""
    try:
        text = read_text(path)
    except UbError as error:
        raise UbError(
            error.message, "see the example in docs/service.md", EX_CONFIG
        ) from None
    except ValueError as error:
        raise UbError(f"{path} is not text in UTF-8", "", EX_CONFIG) from error
    return parse(text, str(path))


def parse(text: str, name: str = "configuration") -> Config:
    """Parse ``text``; ``name`` is used in messages. Raises ``UbError``."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(name, str(error)) from error
    return _Reader(name, find_lines(text)).config(data)


def _syntax_error(name: str, message: str) -> UbError:
    """A UbError with the line number that ends the messages of tomllib."""
    match = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", message)
    where, why = (f"{name}:{match[2]}", match[1]) if match else (name, message)
    return UbError(f"{where}: not TOML: {why[:1].lower()}{why[1:]}", "", EX_CONFIG)


_T = TypeVar("_T")
_KINDS: Final = {
    bool: "true or false",
    int: "an integer",
    str: "a string",
    dict: "a table",
    list: "a list",
}


class _Reader:
    """Checks each value; reports errors with the line number."""

    def __init__(self, name: str, lines: Mapping[Place, int]) -> None:
        self._name = name
        self._lines = lines
        self._warnings: list[str] = []

    def config(self, data: Mapping[str, Any]) -> Config:
        parts = {"version", "service", "limits", "metrics", "store", "tune", "rule"}
        self._only("", 0, data, parts)
        version = self._number("", 0, data, "version", VERSION, 1, 1000)
        if version != VERSION:
            raise self._error(
                "", 0, "version", f"this ub reads version {VERSION} of the file"
            )
        service = self._table(data, "service", {"paused", "scan_seconds"})
        return Config(
            rules=self._rules(data),
            limits=self._limits(data),
            metrics=self._metrics(data),
            store=self._store(data),
            tune=self._tune(data),
            paused=self._get("service", 0, service, "paused", bool, False),
            scan_seconds=self._number(
                "service", 0, service, "scan_seconds", 2.0, 0.1, 3600
            ),
            warnings=tuple(self._warnings),
        )

    # ---- tables -----------------------------------------------------------------

    def _limits(self, data: Mapping[str, Any]) -> Limits:
        names = {each.name for each in fields(Limits)}
        table = self._table(data, "limits", names)
        usual = Limits()

        def whole(key: str, least: int, most: int) -> int:
            value: int = getattr(usual, key)
            self._get("limits", 0, table, key, int, value)
            return int(self._number("limits", 0, table, key, value, least, most))

        return Limits(
            cpu_percent=self._number(
                "limits", 0, table, "cpu_percent", usual.cpu_percent, 0.1, 100
            ),
            memory_mib=whole("memory_mib", 64, 1 << 20),
            processes=whole("processes", 1, 4096),
            regions=whole("regions", 1, 256),
            code_kib=whole("code_kib", 1, 1 << 16),
        )

    def _metrics(self, data: Mapping[str, Any]) -> Metrics:
        table = self._table(data, "metrics", {"textfile", "listen", "interval_seconds"})
        if "textfile" in table:
            word = self._get("metrics", 0, table, "textfile", str, "")
            textfile = self._path("metrics", "textfile", word)
        else:
            textfile = usual_textfile()
        return Metrics(
            textfile=textfile,
            listen=self._address(table),
            interval=self._number(
                "metrics", 0, table, "interval_seconds", 15.0, 1, 3600
            ),
        )

    def _address(self, table: Mapping[str, Any]) -> tuple[str, int] | None:
        word = self._get("metrics", 0, table, "listen", str, "")
        if not word:
            return None
        try:
            found = address(word)
        except ValueError as error:
            raise self._error("metrics", 0, "listen", str(error)) from error
        if found[0] not in _LOOPBACK:
            self._warnings.append(
                f"anyone who can reach {found[0]} can read the metrics: no "
                "encryption, no password"
            )
        return found

    def _path(self, table: str, key: str, word: str) -> Path | None:
        """The absolute path ``word``; None if it is empty."""
        if not word:
            return None
        path = Path(word)
        if not path.is_absolute():
            raise self._error(table, 0, key, "the path must begin with /")
        return path

    def _store(self, data: Mapping[str, Any]) -> Store | None:
        if "store" not in data:
            return None
        # Only now, since most machines have no store.
        from ubypass.store.opening import check_place

        keys = ("place", "public_key", "private_key", "region")
        numbers = {"timeout_seconds", "wait_seconds"}
        table = self._table(data, "store", {*keys, *numbers})
        words = {key: self._get("store", 0, table, key, str, "") for key in keys}
        for key in ("place", "public_key"):
            if not words[key]:
                raise self._error("store", 0, key, f"[store] needs {key!r}")
        try:
            check_place(words["place"])
        except ValueError as error:
            raise self._error("store", 0, "place", str(error)) from error
        public_key = self._path("store", "public_key", words["public_key"])
        private_key = self._path("store", "private_key", words["private_key"])
        assert public_key is not None  # required above
        if words["place"].startswith(("http://", "s3+http://")):
            self._warnings.append(
                "the store is asked without encryption: who can read the network sees "
                "which programs run here"
            )
        usual = Store("", Path())
        return Store(
            place=words["place"],
            public_key=public_key,
            private_key=private_key,
            timeout=self._number(
                "store", 0, table, "timeout_seconds", usual.timeout, 0.01, 2
            ),
            wait=self._number("store", 0, table, "wait_seconds", usual.wait, 0, 60),
            region=words["region"] or usual.region,
        )

    def _tune(self, data: Mapping[str, Any]) -> Mapping[Tunable, int]:
        names = {each.name.lower(): each for each in Tunable}
        table = self._table(data, "tune", names.keys())
        for name in table:
            self._get("tune", 0, table, name, int, 0)
        found = {}
        for name in table:
            what = names[name]
            known = TUNABLES[what]
            found[what] = int(
                self._number("tune", 0, table, name, 0, known.least, known.most)
            )
        return found

    def _rules(self, data: Mapping[str, Any]) -> tuple[Rule, ...]:
        rows = self._get("", 0, data, "rule", list, [])
        if not all(isinstance(row, dict) for row in rows):
            raise self._error("", 0, "rule", "write each rule as a table [[rule]]")
        if len(rows) > _RULES_MOST:
            raise self._error(
                "rule", _RULES_MOST, "", f"there are more than {_RULES_MOST} rules"
            )
        rules: list[Rule] = []
        for index, row in enumerate(rows):
            rule = self._rule(index, row)
            if rule.name in {other.name for other in rules}:
                raise self._error(
                    "rule", index, "name", f"there are two rules {rule.name!r}"
                )
            rules.append(rule)
        return tuple(rules)

    def _rule(self, index: int, row: Mapping[str, Any]) -> Rule:
        criteria = ("unit", "cgroup", "exe", "user", "container", "label")
        others = ("name", "boost", "children", "trust")
        self._only("rule", index, row, {*criteria, *others})
        name = self._get("rule", index, row, "name", str, f"rule-{index + 1}")
        if not _NAME.fullmatch(name):
            raise self._error(
                "rule",
                index,
                "name",
                f"{name!r} is not a valid name: up to 64 letters, digits and . _ @ : -",
            )
        if not any(key in row for key in criteria):
            raise self._error(
                "rule",
                index,
                "",
                f"rule {name!r} would match every process: give at least one of "
                f"{', '.join(criteria)}",
            )
        found = {key: self._words(index, row, key) for key in criteria}
        for key in ("exe", "cgroup"):
            for word in found[key]:
                if word[0] not in "/*":
                    raise self._error(
                        "rule", index, key, f"{word!r} must begin with / or *"
                    )
        for word in found["label"]:
            if not word.partition("=")[1]:
                raise self._error(
                    "rule", index, "label", f"{word!r}: write KEY=VALUE, or KEY=*"
                )
        trust = self._get("rule", index, row, "trust", bool, False)
        if trust and not row.keys() & set(criteria) - {"exe", "label"}:
            self._warnings.append(
                f"rule {name!r} trusts every program at that path, in any container: "
                "add unit, user or cgroup"
            )
        return Rule(
            name=name,
            unit=tuple(map(_unit, found["unit"])),
            cgroup=found["cgroup"],
            exe=found["exe"],
            container=found["container"],
            label=found["label"],
            uids=self._uids(name, found["user"]) if "user" in row else None,
            boost=self._get("rule", index, row, "boost", bool, True),
            children=self._get("rule", index, row, "children", bool, False),
            trust=trust,
        )

    def _uids(self, rule: str, users: Sequence[str]) -> frozenset[int]:
        found = set()
        for user in users:
            if user.isascii() and user.isdigit():
                found.add(int(user))
                continue
            try:
                found.add(pwd.getpwnam(user).pw_uid)
            except KeyError:
                self._warnings.append(
                    f"rule {rule!r}: there is no user {user!r} on this machine"
                )
        return frozenset(found)

    # ---- values -----------------------------------------------------------------

    def _words(self, index: int, row: Mapping[str, Any], key: str) -> tuple[str, ...]:
        if key not in row:
            return ()
        value = row[key]
        words = value if isinstance(value, list) else [value]
        if key == "user":
            words = [
                str(w) if isinstance(w, int) and not isinstance(w, bool) else w
                for w in words
            ]
        if not words or not all(isinstance(w, str) and w for w in words):
            raise self._error(
                "rule",
                index,
                key,
                f"{key!r} must be a string, or a list of strings, not empty",
            )
        return tuple(words)

    def _table(
        self, data: Mapping[str, Any], name: str, keys: Collection[str]
    ) -> Mapping[str, Any]:
        table: Mapping[str, Any] = self._get("", 0, data, name, dict, {})
        self._only(name, 0, table, keys)
        return table

    def _only(
        self, table: str, index: int, found: Mapping[str, Any], keys: Collection[str]
    ) -> None:
        for key in found:
            if key not in keys:
                where = f"[{table}]" if table else "the file"
                raise self._error(
                    table,
                    index,
                    key,
                    f"{where} has no key {key!r}; valid keys: "
                    f"{', '.join(sorted(keys))}",
                )

    def _get(
        self,
        table: str,
        index: int,
        found: Mapping[str, Any],
        key: str,
        kind: type[_T],
        usual: _T,
    ) -> _T:
        value = found.get(key, usual)
        # In Python bool is a subclass of int, in TOML a boolean is no integer.
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        raise self._error(table, index, key, f"{key!r} must be {_KINDS[kind]}")

    def _number(
        self,
        table: str,
        index: int,
        found: Mapping[str, Any],
        key: str,
        usual: float,
        least: float,
        most: float,
    ) -> float:
        value = found.get(key, usual)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._error(table, index, key, f"{key!r} must be a number")
        if not least <= value <= most:
            raise self._error(
                table, index, key, f"{key!r} must be between {least:,g} and {most:,g}"
            )
        return value

    def _error(self, table: str, index: int, key: str, why: str) -> UbError:
        lines = self._lines
        line = (
            lines.get((table, index, key))
            or lines.get((key, 0, ""))
            or lines.get((table, index, ""))
        )
        where = f"{self._name}:{line}" if line else self._name
        return UbError(f"{where}: {why}", "", EX_CONFIG)


def usual_textfile() -> Path | None:
    """The file in node_exporter's textfile directory; None if there is no directory."""
    return next((d / _TEXTFILE for d in _NODE_EXPORTER if d.is_dir()), None)


def address(word: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; raises ``ValueError`` with a text for people."""
    host, colon, port = word.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{word!r} is not HOST:PORT, for example 127.0.0.1:9464")
    return host.strip("[]") or "127.0.0.1", int(port)


def _unit(word: str) -> str:
    """The full unit name: as in systemctl, a name without a suffix is a service."""
    return word if _UNIT.search(word) or word.endswith("*") else f"{word}.service"
