# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.region.asm import TEXT, decoded
from ubypass.region.callgraph import internal_returns


def test_rets_answer_calls_of_their_function() -> None:
    code, at = decoded(
        """
        call f
        one: call g
        two: call [rbx]
        three: nop
        f: test eax, eax
        je g
        call g
        four: nop
        fret: ret
        g: nop
        gret: ret
        """
    )
    found = {}
    address = TEXT
    while (step := code.step(address)) is not None:
        found[address] = step
        address = step.next_ip
    answered = internal_returns(found, {at["two"]: [at["g"]]}, list(found))
    assert answered[at["fret"]] == [at["one"]]
    # g is reached by a jump from f as well, so its ret answers f's call.
    assert set(answered[at["gret"]]) == {at[n] for n in ("one", "two", "three", "four")}
