# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from ubypass.service.rules import Facts, Rule, first_match

_NGINX = Facts(
    pid=7,
    start=1,
    exe="/usr/sbin/nginx",
    uid=33,
    cgroup="/system.slice/nginx.service",
    units=("system.slice", "nginx.service"),
)
_POD = Facts(
    pid=8, start=1, exe="/usr/bin/redis-server", uid=999, containers=("abc", "pod-1")
)
_NO = Rule("x", exe=("/nothing",))


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (Rule("a", unit=("nginx.service",)), True),
        (Rule("a", unit=("system.slice",)), True),
        (Rule("a", unit=("nginx.*",)), True),
        (Rule("a", unit=("redis.service", "nginx.service")), True),
        (Rule("a", unit=("redis.service",)), False),
        (Rule("a", unit=("NGINX.service",)), False),
        (Rule("a", cgroup=("/system.slice/*",)), True),
        (Rule("a", cgroup=("/system.slice",)), False),
        (Rule("a", exe=("/usr/sbin/nginx",)), True),
        (Rule("a", exe=("/usr/*",)), True),
        (Rule("a", exe=("nginx",)), False),
        (Rule("a", uids=frozenset({33})), True),
        (Rule("a", uids=frozenset({0})), False),
        # A user who is not on this machine has no processes.
        (Rule("a", uids=frozenset()), False),
        (Rule("a", container=("*",)), False),
        # All that is given must hold.
        (Rule("a", unit=("nginx.service",), uids=frozenset({33})), True),
        (Rule("a", unit=("nginx.service",), uids=frozenset({34})), False),
        (Rule("a", unit=("x.service",), exe=("*",)), False),
    ],
)
def test_a_rule(rule: Rule, matches: bool) -> None:
    assert rule.matches(_NGINX) is matches


def test_labels_match_as_key_and_value() -> None:
    facts = replace(_POD, labels=("app=redis", "tier=back"))
    assert Rule("a", label=("app=redis",)).matches(facts)
    assert Rule("a", label=("app=*", "x=y")).matches(facts)
    assert not Rule("a", label=("app=web", "pp=redis")).matches(facts)
    assert not Rule("a", label=("app=redis",), exe=("/x",)).matches(facts)
    assert not Rule("a", label=("*",)).matches(_POD)


def test_containers_match_by_any_of_their_names() -> None:
    assert Rule("a", container=("pod-*",)).matches(_POD)
    assert Rule("a", container=("abc",)).matches(_POD)
    assert not Rule("a", container=("def",)).matches(_POD)


def test_the_first_rule_decides() -> None:
    never = Rule("never", exe=("/usr/sbin/*",), boost=False)
    every = Rule("all", exe=("*",))
    assert first_match([_NO, never, every], _NGINX) is never
    assert first_match([_NO, every, never], _NGINX) is every
    assert first_match([_NO], _NGINX) is None
    assert first_match([], _NGINX) is None


def test_kernel_threads_are_under_no_rule() -> None:
    thread = Facts(pid=2, start=1, uid=0, cgroup="/")
    assert first_match([Rule("all", uids=frozenset({0}))], thread) is None
