# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.region.asm import decoded
from ubypass.region.stackwalk import learn_returns

_CHAIN = """
    syscall
    start: cmp rax, -4096
    ja error
    pop rbx
    first: ret
    error: neg eax
    add rsp, 8
    second: ret
    call start-2
    inner: test eax, eax
    sub rsp, 16
    lea rsp, [rsp+24]
    third: ret
    call inner
    outer: jmp outer
"""


def test_a_chain_of_returns() -> None:
    code, at = decoded(_CHAIN)
    stack = [0, at["inner"], 7, at["outer"]]
    learned = learn_returns(code, at["start"], stack)
    assert learned == {
        at["first"]: [at["inner"]],
        at["second"]: [at["inner"]],
        at["third"]: [at["outer"]],
    }


def test_words_that_follow_no_call() -> None:
    code, at = decoded(_CHAIN)
    assert learn_returns(code, at["start"], [0, at["error"]]) == {}
    assert learn_returns(code, at["start"], []) == {}


def test_frame_pointer() -> None:
    code, at = decoded(
        """
        start: push rbp
        mov rbp, rsp
        and rsp, -16
        leave
        back: ret
        call start
        after: ret
        """
    )
    learned = learn_returns(code, at["start"], [at["after"]])
    assert learned == {at["back"]: [at["after"]]}


def test_lost_track_of_rsp() -> None:
    code, at = decoded(
        """
        start: mov rsp, rax
        back: ret
        call start
        after: ret
        """
    )
    assert learn_returns(code, at["start"], [at["after"]] * 8) == {}
