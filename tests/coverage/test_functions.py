# SPDX-License-Identifier: GPL-2.0-only
"""What counts as code and what does not."""

from __future__ import annotations

from tests.translate.assemble import assemble
from ubypass.coverage.functions import Function, functions
from ubypass.region.graph import End

TEXT = 0x40_0000


def _functions(
    source: str, ranges: tuple[str, ...] = (), symbols: tuple[str, ...] = ()
) -> list[Function]:
    """Each range is "start end", as labels; symbols have no size."""
    code, labels = assemble(source, TEXT)
    pairs = [tuple(labels[name] for name in words.split()) for words in ranges]
    return list(
        functions(
            {TEXT: code},
            [(start, end - start) for start, end in pairs],
            [(labels[name], 0) for name in symbols],
        )
    )


def _texts(found: list[Function]) -> list[list[str]]:
    return [
        [str(i) for block in function.blocks for i in block.instructions]
        for function in found
    ]


def test_tables_between_functions_are_not_code() -> None:
    found = _functions(
        "one: xor eax, eax\nret\ntwo:\n.quad 0x9090909090909090\n"
        "three: inc eax\nret\nfour:",
        ("one two", "three four"),
    )
    assert _texts(found) == [["xor eax,eax", "ret"], ["inc eax", "ret"]]


def test_padding_inside_is_not_code_but_what_a_switch_leads_to_is() -> None:
    found = _functions(
        "one: jmp rax\n.p2align 4\ncase: inc eax\njmp one\n.p2align 4\n"
        "other: dec eax\nret\nend:",
        ("one end",),
    )
    assert _texts(found) == [
        ["jmp rax", "inc eax", "jmp short 0000000000400000h", "dec eax", "ret"]
    ]


def test_a_table_inside_is_not_code() -> None:
    found = _functions(
        "one: ret\n.byte 0x06, 0x07, 0x0e\n.quad 6\nend:\n", ("one end",)
    )
    assert _texts(found) == [["ret"]]


def test_symbols_and_called_places_without_range() -> None:
    found = _functions(
        "one: call hidden\nret\nend: named: inc eax\nret\n.quad 0x0606060606060606\n"
        "hidden: dec eax\nret\n.byte 6",
        ("one end",),
        ("named", "one"),
    )
    assert _texts(found) == [
        ["call 0000000000400011h", "ret"],
        ["inc eax", "ret"],
        ["dec eax", "ret"],
    ]


def test_blocks() -> None:
    (function,) = _functions(
        "one: test eax, eax\nje two\nsyscall\ncall one\ntwo: inc eax\njmp [rax]\nend:",
        ("one end",),
    )
    ends = [block.end for block in function.blocks]
    assert ends == [End.BRANCH, End.SYSCALL, End.CALL, End.JUMP_INDIRECT]
    branch, call = function.blocks[0], function.blocks[2]
    assert branch.targets == (function.blocks[3].start, function.blocks[1].start)
    assert call.targets == (TEXT,)


def test_falling_into_the_next_block() -> None:
    (function,) = _functions(
        "one: inc eax\ntwo: dec eax\njne two\nret\nend:", ("one end",)
    )
    assert [block.end for block in function.blocks] == [End.FALL, End.BRANCH, End.RET]
    assert function.blocks[0].targets == (function.blocks[1].start,)
