# SPDX-License-Identifier: GPL-2.0-only
"""What a configuration means, and what is said of one that is not right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ubypass.device.uapi import Tunable
from ubypass.errors import UbError
from ubypass.service import config as config_module
from ubypass.service.config import EX_CONFIG, Limits, Store, load, parse
from ubypass.service.rules import Rule

_WHOLE = """
version = 1

[service]
paused = true
scan_seconds = 5

[limits]
cpu_percent = 2.5
memory_mib = 256
processes = 10
regions = 4
code_kib = 64

[metrics]
textfile = "/run/x.prom"
listen = "127.0.0.1:9464"
interval_seconds = 30

[tune]
gap_ns = 5000

[[rule]]
name = "never"
exe = ["/usr/bin/gdb", "/usr/bin/strace"]
boost = false

[[rule]]
unit = "redis-server"
user = ["root", 33]
children = true

[[rule]]
name = "pods"
container = "abc*"
cgroup = "/kubepods*"

[[rule]]
name = "compose"
label = ["com.docker.compose.service=redis", "tier=*"]
"""


def test_a_whole_file() -> None:
    config = parse(_WHOLE)
    assert config.paused
    assert config.scan_seconds == 5
    assert config.limits == Limits(2.5, 256, 10, 4, 64)
    assert config.metrics.textfile == Path("/run/x.prom")
    assert config.metrics.listen == ("127.0.0.1", 9464)
    assert config.metrics.interval == 30
    assert config.tune == {Tunable.GAP_NS: 5000}
    assert config.rules == (
        Rule("never", exe=("/usr/bin/gdb", "/usr/bin/strace"), boost=False),
        Rule(
            "rule-2",
            unit=("redis-server.service",),
            uids=frozenset({0, 33}),
            children=True,
        ),
        Rule("pods", container=("abc*",), cgroup=("/kubepods*",)),
        Rule("compose", label=("com.docker.compose.service=redis", "tier=*")),
    )
    assert config.warnings == ()


def test_an_empty_file_boosts_nothing() -> None:
    config = parse("")
    assert config.rules == ()
    assert not config.paused
    assert config.limits == Limits()


def test_a_user_who_is_not_here_is_a_warning() -> None:
    config = parse('[[rule]]\nname = "a"\nuser = "no-such-user"')
    assert config.rules[0].uids == frozenset()
    assert config.warnings == (
        "rule 'a': there is no user 'no-such-user' on this machine",
    )


def test_trust_by_a_path_alone_is_a_warning() -> None:
    config = parse('[[rule]]\nname = "a"\nexe = "/usr/bin/x"\ntrust = true')
    assert config.rules[0].trust
    (warning,) = config.warnings
    assert "'a' trusts every program at that path" in warning
    config = parse('[[rule]]\nexe = "/usr/bin/x"\nuser = 0\ntrust = true')
    assert config.rules[0].trust
    assert config.warnings == ()
    assert not parse('[[rule]]\nexe = "/usr/bin/x"').rules[0].trust
    with pytest.raises(UbError, match="'trust' must be true or false"):
        parse('[[rule]]\nexe = "/usr/bin/x"\ntrust = 1')


def test_metrics_for_everybody_are_a_warning() -> None:
    (warning,) = parse('[metrics]\nlisten = "0.0.0.0:9464"').warnings
    assert "anyone who can reach 0.0.0.0" in warning
    assert parse('[metrics]\nlisten = "[::1]:9464"').metrics.listen == ("::1", 9464)
    assert parse('[metrics]\nlisten = "[::1]:9464"').warnings == ()


@pytest.mark.parametrize(
    ("word", "unit"),
    [
        ("nginx", "nginx.service"),
        ("nginx.service", "nginx.service"),
        ("web.slice", "web.slice"),
        ("php8.2-fpm", "php8.2-fpm.service"),
        ("getty@*", "getty@*"),
    ],
)
def test_units_are_named_as_for_systemctl(word: str, unit: str) -> None:
    assert parse(f'[[rule]]\nunit = "{word}"').rules[0].unit == (unit,)


_RULE = '[[rule]]\nname = "a"\nexe = "/a"\n'


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("[service\n", 1, "not TOML: expected ']'"),
        ("a = 1\na = 2\n", 2, "not TOML: cannot overwrite a value"),
        ("\nversio = 1", 2, "the file has no key 'versio'"),
        ("version = 2", 1, "reads version 1"),
        ("version = true", 1, "'version' must be a number"),
        ("service = 1", 1, "'service' must be a table"),
        ("[service]\n\npaused = 1", 3, "'paused' must be true or false"),
        ("[service]\nscan_seconds = 0", 2, "'scan_seconds' must be between 0.1 and"),
        ("[service]\nscan_seconds = nan", 2, "'scan_seconds' must be between 0.1 and"),
        ("[limit]\n", 1, "the file has no key 'limit'"),
        ("[limits]\ncpu = 1", 2, "[limits] has no key 'cpu'; valid keys: code_kib"),
        ("[limits]\ncpu_percent = 200", 2, "between 0.1 and 100"),
        ("[limits]\nprocesses = 1.5", 2, "'processes' must be an integer"),
        ("[limits]\nprocesses = 0", 2, "between 1 and 4,096"),
        ("[metrics]\ntextfile = 'x'", 2, "the path must begin with /"),
        ("[metrics]\nlisten = '9464'", 2, "is not HOST:PORT"),
        ("[metrics]\nlisten = 'a:99999'", 2, "is not HOST:PORT"),
        ("[tune]\ngap = 1", 2, "[tune] has no key 'gap'"),
        ("[tune]\ngap_ns = -1", 2, "'gap_ns' must be between 100 and"),
        ("rule = 1", 1, "'rule' must be a list"),
        ("rule = [1]", 1, "write each rule as a table [[rule]]"),
        ("[rule]\nexe = '/a'", 1, "'rule' must be a list"),
        (_RULE + "unitt = 'x'", 4, "[rule] has no key 'unitt'"),
        (_RULE + "\n" + _RULE, 6, "there are two rules 'a'"),
        ("[[rule]]\nname = 'a'", 1, "would match every process"),
        ("[[rule]]\nname = 'a b'\nexe = '/a'", 2, "'a b' is not a valid name"),
        ("[[rule]]\nexe = ''", 2, "'exe' must be a string, or a list"),
        ("[[rule]]\nexe = [1]", 2, "'exe' must be a string, or a list"),
        ("[[rule]]\nexe = []", 2, "'exe' must be a string, or a list"),
        ("[[rule]]\nuser = true", 2, "'user' must be a string, or a list"),
        ("[[rule]]\nexe = 'nginx'", 2, "'nginx' must begin with / or *"),
        ("[[rule]]\nlabel = 'redis'", 2, "'redis': write KEY=VALUE, or KEY=*"),
        ("[[rule]]\nexe = '/a'\nboost = 'no'", 3, "'boost' must be true or false"),
        (_RULE + "[[rule]]\nexe = '/b'\nboost = 1", 6, "'boost' must be true or false"),
        ("[[rule]]\nexe = '/a'\n" * 201, 401, "more than 200 rules"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(UbError) as caught:
        parse(text, "/etc/x.toml")
    assert caught.value.message.startswith(f"/etc/x.toml:{line}: ")
    assert why in caught.value.message
    assert caught.value.exit_code == EX_CONFIG


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(UbError, match="No such file"):
        load(missing)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UbError, match="not text in UTF-8"):
        load(binary)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(UbError, match="not a regular file"):
        load(fifo)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(_WHOLE)
    assert load(file) == parse(_WHOLE)


def test_the_textfile_is_where_node_exporter_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config_module, "_NODE_EXPORTER", (tmp_path / "no", tmp_path))
    assert parse("").metrics.textfile == tmp_path / "ubypass.prom"
    assert parse("[metrics]\ntextfile = ''").metrics.textfile is None
    monkeypatch.setattr(config_module, "_NODE_EXPORTER", (tmp_path / "no",))
    assert parse("").metrics.textfile is None


_STORE = """
[store]
place = "https://store.example/ubypass"
public_key = "/etc/ubypass/store.pub"
"""


def test_a_store() -> None:
    config = parse(_STORE)
    assert config.store == Store(
        "https://store.example/ubypass", Path("/etc/ubypass/store.pub")
    )
    assert config.warnings == ()
    more = (
        """private_key = "/k"\ntimeout_seconds = 1\nwait_seconds = 0\nregion = "x"\n"""
    )
    assert parse(_STORE + more).store == Store(
        "https://store.example/ubypass",
        Path("/etc/ubypass/store.pub"),
        Path("/k"),
        1,
        0,
        "x",
    )
    assert parse("").store is None
    (warning,) = parse(_STORE.replace("https", "http")).warnings
    assert "without encryption" in warning


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("place =", "url =", "f:3: [store] has no key 'url'; valid keys: place, "),
        ('"https://store.example/ubypass"', '"x"', "f:3: 'x' is neither a path nor"),
        ('"https://store.example/ubypass"', "7", "f:3: 'place' must be a string"),
        (
            'public_key = "/etc/ubypass/store.pub"',
            "",
            "f:2: [store] needs 'public_key'",
        ),
        ('"/etc/ubypass/store.pub"', '"store.pub"', "f:4: the path must begin with /"),
        (
            "public_key",
            "timeout_seconds = 9\npublic_key",
            "f:4: 'timeout_seconds' must be between ",
        ),
    ],
)
def test_a_wrong_store(old: str, new: str, why: str) -> None:
    with pytest.raises(UbError) as caught:
        parse(_STORE.replace(old, new), "f")
    assert caught.value.message.startswith(why)


def test_without_a_store_nothing_of_it_is_imported() -> None:
    program = (
        "import sys; from ubypass.service.config import parse; parse('version = 1');"
        "import ubypass.cli.session, ubypass.cli.service.run, ubypass.service.metrics;"
        "print([m for m in sys.modules if m.startswith(('ubypass.store', "
        "'ubypass.cli.store', 'cryptography', 'urllib3', 'botocore'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
