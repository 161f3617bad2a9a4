# SPDX-License-Identifier: GPL-2.0-only
"""The mitigations that a kernel has switched on, in a few words."""

from __future__ import annotations

import re

from ubypass.bench.records import Machine

__all__ = ["mitigations"]

_CLEARED = "Clear CPU buffers"

#: The kernel's texts and the short ones, in the order in which they are told. "" for
#: what costs nothing at system calls, and for what is on with every processor alike.
_SHORT = {
    "PTI": "PTI",
    _CLEARED: "clear buffers",
    "Clear CPU buffers attempted": "clear buffers",
    "Clear Register File": "clear registers",
    "Safe RET": "Safe RET",
    "safe RET": "Safe RET",
    "untrained return thunk": "untrained returns",
    "IBPB": "IBPB",
    "IBPB on VMEXIT": "",
    "IBRS": "IBRS",
    "Enhanced IBRS": "enhanced IBRS",
    "Enhanced / Automatic IBRS": "automatic IBRS",
    "Retpolines": "retpolines",
    "Aligned branch/return thunks": "aligned thunks",
    "BHI: SW loop": "clear branch history",
    "BHI: BHI_DIS_S": "BHI_DIS_S",
    "usercopy/swapgs barriers and __user pointer sanitization": "",
    "Speculative Store Bypass disabled via prctl": "",
    "PTE Inversion": "",
    "KVM: Mitigation: VMX unsupported": "",
    "KVM: Mitigation: VMX disabled": "",
    "KVM: Mitigation: Split huge pages": "",
    "KVM: Vulnerable": "",
    "Processor vulnerable": "",
    "Unknown: Dependent on hypervisor status": "",
    "Vulnerable": "",
}
_BUGS = {
    "mds": "MDS",
    "mmio_stale_data": "MMIO",
    "reg_file_data_sampling": "RFDS",
    "tsa": "TSA",
    "tsx_async_abort": "TAA",
}


def mitigations(machine: Machine) -> tuple[str, ...]:
    """What the kernel does against leaks at system calls; unknown texts verbatim."""
    known = {"PTI"} if machine.page_table_isolation else set()
    cleared: list[str] = []
    unknown: list[str] = []
    for line in machine.mitigations:
        bug, _, text = line.partition(": ")
        parts = _parts(text)
        if parts[0] not in _SHORT:
            unknown.append(line)
            continue
        short = {_SHORT[part] for part in parts if part in _SHORT}
        if _SHORT[_CLEARED] in short:
            cleared.append(_BUGS.get(bug, bug))
        known |= short
    against = f" ({', '.join(cleared)})" if cleared else ""
    told = dict.fromkeys(short for short in _SHORT.values() if short in known and short)
    return (
        *(
            f"{short}{against}" if short == _SHORT[_CLEARED] else short
            for short in told
        ),
        *unknown,
    )


def _parts(text: str) -> list[str]:
    """The statements of a text.

    Where microcode lacks a part, the rest of the mitigation is nonetheless in effect,
    though the processor is called vulnerable.
    """
    return re.split(r"[;,] ", text.removeprefix("Vulnerable: "))
