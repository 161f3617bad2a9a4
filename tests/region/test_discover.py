# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.region.asm import TEXT, program
from ubypass.abi import SiteKey
from ubypass.errors import UbError
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover, regions
from ubypass.region.graph import End, Region
from ubypass.region.reader import BytesReader, CodeReader

_LOOP = """
    first: mov eax, 39
    site: syscall
    start: cmp rax, -4096
    ja error
    dec ebx
    jne first
    ud2
    error: neg eax
    jmp first
"""


@dataclass
class _Counting:
    """A reader that counts its reads."""

    reader: CodeReader
    reads: int = 0

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        return self.reader.read(address, size)


def _find(
    source: str, *, limits: Limits | None = None, **spec: object
) -> tuple[Region, dict[str, int]]:
    reader, at = program(source)
    given = {
        name: value(at) if callable(value) else value for name, value in spec.items()
    }
    hot = (HotEntry(at["start"], 39, given.pop("stack", ())),)  # type: ignore[arg-type]
    return discover(RegionSpec(hot, **given), reader, limits), at  # type: ignore[arg-type]


def test_a_loop() -> None:
    region, at = _find(_LOOP)
    assert region.entries == (SiteKey(at["start"], 39),)
    site = region.blocks[at["first"]]
    assert (site.end, site.numbers, site.nr_known) == (End.SYSCALL, (39,), True)
    assert site.targets == (at["start"],)
    branch = region.blocks[at["start"]]
    assert branch.targets == (at["error"], branch.next_ip)
    assert at["error"] in region.blocks


def test_what_leads_nowhere_stays_outside() -> None:
    region, at = _find(_LOOP)
    assert all(block.end != End.STOP for block in region.blocks.values())
    assert at["error"] - 2 not in region.blocks  # the ud2


def test_sources_cover_every_block() -> None:
    region, _ = _find(_LOOP)
    reader, _ = program(_LOOP)
    for block in region.blocks.values():
        covering = [
            s
            for s in region.sources
            if s.start <= block.start and block.next_ip <= s.start + len(s.data)
        ]
        assert len(covering) == 1
    for source in region.sources:
        assert reader.read(source.start, len(source.data)) == source.data


def test_number_from_the_event() -> None:
    region, at = _find("site: syscall\nstart: mov eax, ebx\njmp site")
    site = region.blocks[at["site"]]
    assert (site.numbers, site.nr_known) == ((39,), False)


_TWO_CALLS = """
    start: mov eax, 1
    syscall
    after: dec ebx
    mov eax, 39
    syscall
    last: jmp start
"""


_DETOUR = """
    start: dec ebx
    jne call
    long: {nops}
    call: mov eax, 39
    syscall
    last: jmp start
"""


def test_detours_are_left_out_where_room_is_short() -> None:
    text = _DETOUR.format(nops="nop\n" * 60)
    whole, at = _find(text, limits=Limits(detour=100))
    assert at["long"] in whole.blocks
    region, _ = _find(text, limits=Limits(detour=20))
    assert at["long"] not in region.blocks
    assert at["call"] in region.blocks
    # More was explored than there is room for.
    small = Limits(region=20, explored=200, detour=100)
    assert at["long"] not in _find(text, limits=small)[0].blocks
    # What was asked for stays.
    kept, _ = _find(text, limits=small, seeds=lambda at: (at["long"],))
    assert at["long"] in kept.blocks


def test_a_stop_ends_the_region_after_its_call() -> None:
    whole, at = _find(_TWO_CALLS)
    assert at["after"] in whole.blocks
    region, _ = _find(_TWO_CALLS, stops=lambda at: frozenset({SiteKey(at["after"], 1)}))
    assert list(region.blocks) == [at["start"]]
    assert region.entries == (SiteKey(at["start"], 39),)
    assert region.blocks[at["start"]].numbers == (1,)


def test_behind_one_of_several_calls_it_may_end_and_go_on_behind_others() -> None:
    text = "start: mov eax, ebx\nsyscall\nlast: dec ecx\njmp start"
    calls = {"numbers": lambda at: {at["last"]: (232, 0, 1)}}
    whole, at = _find(text, **calls)  # type: ignore[arg-type]
    keys = [SiteKey(at["last"], nr) for nr in (0, 1, 232)]
    assert whole.entries == (SiteKey(at["start"], 39), *keys)
    wait = frozenset({keys[2]})
    region, _ = _find(text, stops=lambda at: wait, **calls)  # type: ignore[arg-type]
    site = region.blocks[at["start"]]
    # The likely path is that of a call behind which it goes on.
    assert (site.numbers, site.stops) == ((0, 1, 232), (232,))
    assert region.entries == (SiteKey(at["start"], 39), *keys[:2])
    assert region.blocks.keys() == whole.blocks.keys()
    # Behind none of them: as behind a site of one call.
    ends, _ = _find(text, stops=lambda at: frozenset(keys), **calls)  # type: ignore[arg-type]
    assert at["last"] not in ends.blocks
    assert ends.blocks[at["start"]].stops == ()


def test_numbers_of_other_sites_are_believed() -> None:
    text = "start: mov eax, ebx\nsyscall\nlast: jmp start"
    region, at = _find(text, numbers=lambda at: {at["last"]: (17, 3)})
    assert region.blocks[at["start"]].numbers == (17, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mov eax, 17", 17),
        ("mov rax, 17", 17),
        ("xor eax, eax", 0),
        ("mov eax, 17\nmov rdi, rbx\ncmp eax, 3", 17),
        ("mov eax, 17\nmov al, 3", None),
        ("mov eax, 17\nmul ecx", None),
        ("mov eax, 17\ncdqe", None),
        ("mov eax, 17\nxchg eax, ecx", None),
        ("mov eax, 17\nadd eax, ecx", None),
    ],
)
def test_number_in_the_code(text: str, expected: int | None) -> None:
    region, at = _find(
        f"first: {text}\nsite: syscall\nstart2: jmp first\n"
        "site2: syscall\nstart: jmp first"
    )
    block = region.blocks.get(at["first"])
    if expected is None:
        # Without a number there is no path to a system call from here.
        assert block is None or not block.numbers
    else:
        assert block is not None
        assert (block.numbers, block.nr_known) == ((expected,), True)


_CALLS = """
    f: mov eax, 39
    syscall
    start: ret
    main: call f
    one: dec ebx
    je main
    call f
    two: jmp main
"""


def test_returns_from_the_stack_and_from_calls() -> None:
    region, at = _find(_CALLS, stack=lambda at: (at["two"],))
    ret = region.blocks[at["start"]]
    # The one on the stack is the likely one.
    assert ret.targets == (at["two"], at["one"])


def test_return_unknown() -> None:
    region, at = _find(_CALLS)
    assert region.blocks[at["start"]].targets == ()


def test_learned_targets_come_first() -> None:
    region, at = _find(
        _CALLS,
        stack=lambda at: (at["two"],),
        targets=lambda at: {at["start"]: (at["one"],)},
    )
    assert region.blocks[at["start"]].targets == (at["one"], at["two"])


def test_candidates_are_limited() -> None:
    calls = "\n".join(f"call f\nr{n}: nop" for n in range(9))
    region, at = _find(
        f"f: mov eax, 39\nsyscall\nstart: ret\nmain: {calls}\njmp main",
        stack=lambda at: (at["r0"],),
        limits=Limits(candidates=3),
    )
    assert region.blocks[at["start"]].targets == (at["r0"], at["r1"], at["r2"])


def test_slot_is_read_ahead() -> None:
    source = """
        first: call plt
        back: dec ebx
        jmp first
        plt: endbr64
        bnd jmp [rip+slot]
        f: mov eax, 39
        syscall
        start: ret
        .balign 8
        slot: .quad f
    """
    region, at = _find(source, stack=lambda at: (at["back"],))
    assert region.blocks[at["plt"]].targets == (at["f"],)


def test_indirect_jump_needs_to_be_told() -> None:
    source = """
        first: jmp rcx
        f: mov eax, 39
        syscall
        start: jmp first
    """
    region, at = _find(source)
    assert (
        region.blocks[at["first"]].targets == ()
        if at["first"] in region.blocks
        else True
    )
    region, at = _find(source, targets=lambda at: {at["first"]: (at["f"],)})
    assert region.blocks[at["first"]].targets == (at["f"],)


def test_reach_and_region_are_limits() -> None:
    long = "nop\n" * 300
    source = f"first: mov eax, 39\nsyscall\nstart: {long}jmp first"
    region, at = _find(source)
    assert list(region.blocks) == [at["start"]]
    assert region.instruction_count == 256
    region, _ = _find(source, limits=Limits(reach=1000))
    assert region.instruction_count > 300
    region, _ = _find(source, limits=Limits(reach=1000, region=20))
    assert region.instruction_count == 20


def test_extra_blocks_extend_the_reach() -> None:
    long = "nop\n" * 300
    source = f"first: mov eax, 39\nsyscall\nstart: {long}more: {long}jmp first"
    region, at = _find(
        source, seeds=lambda at: (at["start"] + 256, at["more"], at["more"] + 200)
    )
    assert at["first"] in region.blocks
    assert at["more"] in region.seeds


def test_no_code_at_all() -> None:
    with pytest.raises(UbError, match="no entry"):
        discover(RegionSpec((HotEntry(0x1234, 39),)), BytesReader({TEXT: b"\x90" * 8}))


def test_code_that_ends() -> None:
    region, at = _find("syscall\nstart: nop\nnop")
    assert region.blocks[at["start"]].end == End.FALL


def test_traced_paths_are_kept_with_short_paths_around_them() -> None:
    source = (
        """
        first: mov eax, 39
        syscall
        start: test ebx, ebx
        jne aside
        back: test ecx, ecx
        je distant
        nop
        jmp first
        aside: inc ebx
        jmp back
        distant: """
        + "nop\n" * 30
        + """
        jmp first
    """
    )
    _, at = program(source)
    reader, _ = program(source)
    walked, ip = [], at["start"]
    for size in (2, 2, 2, 2, 1, 2):
        walked.append(ip)
        ip += size
    walked += [at["first"], at["first"] + 5]
    region, _ = _find(
        source,
        limits=Limits(reach=24, detour=24),
        traced=frozenset(walked),
    )
    assert at["aside"] in region.blocks
    assert at["distant"] not in region.blocks
    assert at["first"] in region.blocks
    assert reader.read(walked[-1], 2) == b"\x0f\x05"
    # A path that was traced, but seldom runs, is explored as far.
    rare = frozenset(range(at["distant"], at["distant"] + 31))
    region, _ = _find(
        source,
        limits=Limits(reach=24, detour=24),
        traced=frozenset(walked),
        rare=rare,
    )
    assert at["distant"] in region.blocks
    assert region.traced == frozenset(walked).intersection(region.blocks)


def test_shorter_detours_need_no_further_exploration() -> None:
    source = """
        first: mov eax, 39
        syscall
        start: test ebx, ebx
        jne close
        back: test ecx, ecx
        je distant
        nop
        jmp first
        close: inc ebx
        jmp back
        distant: .rept 12; nop; .endr
        jmp first
    """
    reader, at = program(source)
    counting = _Counting(reader)
    walked = frozenset(at[name] for name in ("first", "start", "back"))
    spec = RegionSpec((HotEntry(at["start"], 39),), traced=walked)
    choices = [
        Limits(reach=24, detour=detour, explored=1000, region=most)
        for detour, most in ((24, 10), (16, 20), (6, 30), (1, 30))
    ]
    found = []
    reads = []
    for _, region in regions(spec, counting, choices):
        found.append(
            [name for name in ("distant", "close") if at[name] in region.blocks]
        )
        reads.append(counting.reads)
    assert found == [["distant", "close"], ["distant", "close"], ["close"], []]
    assert reads[0] == reads[-1]
    # Another bound of what is explored, or a longer reach, is another exploration.
    for other in (Limits(reach=24, explored=500), Limits(reach=48, explored=1000)):
        counting.reads = 0
        both = (choices[0], replace(other, detour=24))
        first, second = (counting.reads for _ in regions(spec, counting, both))
        assert second > first


def test_branches_that_did_not_jump() -> None:
    source = """
        first: mov eax, 39
        syscall
        start: test ebx, ebx
        je aside
        jne close
        nop
        close: test ecx, ecx
        je first
        jmp first
        .rept 16; nop; .endr
        aside: jmp first
    """
    region, at = _find(source)
    branches = {b.last.ip for b in region.blocks.values() if b.end == End.BRANCH}
    assert region.never_taken == frozenset()
    walked = frozenset(
        instruction.ip
        for block in region.blocks.values()
        for instruction in block.instructions
    )
    back = next(b.last.ip for b in region.blocks.values() if b.start == at["close"])
    region, _ = _find(source, traced=walked, targets={back: (at["first"],)})
    # One did, and of one it could not be told.
    short = at["start"] + 4
    assert branches - region.never_taken == {back, short}
    region, _ = _find(source, traced=walked - {back}, targets={})
    assert back not in region.never_taken


def test_a_traced_target_just_behind_an_indirect_jump() -> None:
    """The first case of a switch: the step to it looks sequential in a trace."""
    source = """
        first: mov eax, 39
        syscall
        start: mov rax, [rdi + 8 * rbx]
        switch: jmp rax
        nop; nop
        near: inc ebx
        jmp first
        .rept 16; nop; .endr
        far: jmp first
    """
    _, at = program(source)
    walked = {*at.values(), at["first"] + 5, at["near"] + 2}
    seen = {at["switch"]: (at["far"],)}
    region, _ = _find(source, traced=frozenset(walked), targets=seen)
    assert region.blocks[at["start"]].targets == (at["far"], at["near"])
    assert at["near"] in region.blocks
    # Not an address in the middle of the case, nor one that no path passed.
    assert at["near"] + 2 not in region.blocks
    walked -= {at["near"], at["near"] + 2}
    region, _ = _find(source, traced=frozenset(walked), targets=seen)
    assert region.blocks[at["start"]].targets == (at["far"],)
