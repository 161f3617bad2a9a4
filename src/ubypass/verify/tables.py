# SPDX-License-Identifier: GPL-2.0-only
"""Checks of a translation's metadata that do not need its code (rule *path*).

Must not depend on instructions.
"""

from __future__ import annotations

from ubypass.abi import (
    SYSCALL_NONE,
    Abi,
    Exit,
    ExitFlag,
    ExitReason,
    Translation,
)
from ubypass.verify.errors import Rule, VerifyError

__all__ = ["ALIGN", "check_tables"]

#: Size and alignment of a constant, in bytes.
ALIGN = 8
_ALL_FLAGS = int(sum(ExitFlag))
_SLOTS = int(ExitFlag.SLOT_FLAGS | ExitFlag.SLOT_SYSFLAGS)
_DISPATCHED = int(ExitFlag.DISPATCHED)
_REASONS = frozenset(int(reason) for reason in ExitReason) - {int(ExitReason.NONE)}


def check_tables(translation: Translation, abi: Abi) -> None:
    """Raises VerifyError when the metadata contradicts itself or the module."""
    code, constants = translation.code, translation.constants
    if not code or not translation.entries or not translation.sources:
        raise VerifyError(Rule.PATH, "nothing to verify: no code, entry or source")
    if len(code) > abi.max_code:
        raise VerifyError(
            Rule.PATH, f"{len(code)} bytes of code, {abi.max_code} allowed"
        )
    if not 0 < constants <= len(code):
        raise VerifyError(Rule.PATH, "constants begin outside the code")
    if constants < len(code) and (constants | len(code)) % ALIGN:
        raise VerifyError(Rule.PATH, "constants are not aligned")
    for at in range(constants, len(code), ALIGN):
        value = int.from_bytes(code[at : at + ALIGN], "little")
        if value >= abi.task_size_max:
            raise VerifyError(Rule.PATH, "a constant is no user address", at)
    keys = [entry.key for entry in translation.entries]
    if len(set(keys)) != len(keys):
        raise VerifyError(Rule.PATH, "two entries for one call at one address")
    for entry in translation.entries:
        if not _may_dispatch(entry.nr, abi):
            reason = f"an entry behind call {entry.nr}, which is never hooked"
            raise VerifyError(Rule.PATH, reason, entry.code_offset)
    ips = [entry.user_ip for entry in translation.entries]
    for number, record in enumerate(translation.exits):
        _check_exit(number, record)
    ips += [record.user_ip for record in translation.exits]
    ips += [record.cx for record in translation.exits]
    ips += [source.start for source in translation.sources]
    ips += [source.start + len(source.data) for source in translation.sources]
    if any(not 0 <= ip < abi.task_size_max for ip in ips):
        raise VerifyError(Rule.PATH, "an address in the tables is no user address")
    if any(not source.data for source in translation.sources):
        raise VerifyError(Rule.PATH, "an empty source")
    for dispatch in translation.dispatches:
        if not _may_dispatch(dispatch.nr, abi):
            reason = f"call {dispatch.nr} must not be dispatched"
            raise VerifyError(Rule.PATH, reason, dispatch.code_offset)


def _may_dispatch(nr: int, abi: Abi) -> bool:
    return abi.args.get(nr, SYSCALL_NONE) != SYSCALL_NONE


def _check_exit(number: int, record: Exit) -> None:
    flags, reason = int(record.flags), int(record.reason)
    if reason not in _REASONS:
        raise VerifyError(Rule.PATH, f"exit {number} has no valid reason")
    if flags & ~_ALL_FLAGS or flags & _SLOTS == _SLOTS:
        raise VerifyError(Rule.PATH, f"exit {number} has impossible flags")
    if bool(flags & _DISPATCHED) != (reason == ExitReason.DISPATCHED):
        raise VerifyError(
            Rule.PATH, f"exit {number}: flag and reason DISPATCHED differ"
        )
