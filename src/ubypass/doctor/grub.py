# SPDX-License-Identifier: GPL-2.0-only
"""The entry that GRUB starts next, by ``/boot/grub/grub.cfg`` and its environment.

``grub-mkconfig`` has put ``GRUB_DEFAULT`` of ``/etc/default/grub`` into that file: a
later change there has no effect before the next ``update-grub``. ``grub-reboot`` and
``grub-set-default`` write the environment. The file is a script; understood is what
``grub-mkconfig`` writes, and nothing is guessed of what goes beyond.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from ubypass.doctor.loader import Entry, Unknown, read

__all__ = ["next_of_grub"]

_PLACE = "boot/grub"
_CONFIG, _CUSTOM = "grub.cfg", "custom.cfg"
_DEFAULT = re.compile(r"^\s*(?:set\s+)?default=(.*?)\s*$", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_KERNEL = re.compile(r"linux(?:16|efi)?\s+(\S+)")
#: Entries of other systems on this machine.
_FOREIGN = "osprober-"
#: Commands that add entries or settings of which the file itself shows nothing.
_BEYOND = re.compile(r"^\s*(blscfg|configfile)\b", re.MULTILINE)


@dataclass
class _Item:
    """A menu or an entry. ``certain``: it is there whatever the script finds out."""

    title: str = ""
    name: str = ""
    certain: bool = True
    is_menu: bool = False
    kernel: str = ""
    items: list[_Item] = field(default_factory=list)


def next_of_grub(root: Path) -> Entry | None:
    """None if there is no GRUB below ``root``. Raises `Unknown`."""
    place = root / _PLACE
    text = read(place / _CONFIG, "the configuration of GRUB")
    if not text:
        return None
    if _BEYOND.search(text) or (place / _CUSTOM).exists():
        raise Unknown("the configuration of GRUB has parts elsewhere")
    environment = _environment(read(place / "grubenv", "the environment of GRUB"))
    item = _chosen(_menu(text.splitlines()), _default(text, environment))
    return Entry("GRUB", item.title, item.kernel)


def _environment(block: str) -> dict[str, str]:
    """Variables in the block that ``grub-editenv`` writes."""
    lines = (line.partition("=") for line in block.splitlines() if line[:1] != "#")
    return {name: value for name, equals, value in lines if equals}


def _default(text: str, environment: Mapping[str, str]) -> str:
    """The value of ``default`` with which its menu begins. Raises `Unknown`."""
    known = {
        "next_entry": environment.get("next_entry", ""),
        "saved_entry": environment.get("prev_saved_entry")
        or environment.get("saved_entry", ""),
    }
    words = [_unquoted(word) for word in _DEFAULT.findall(text)]
    once = "${next_entry}"
    if once in words and known["next_entry"]:
        return known["next_entry"]
    lasting = {word for word in words if word != once}
    if len(lasting) > 1:
        raise Unknown("the configuration of GRUB has several defaults")
    word = lasting.pop() if lasting else "0"
    if unknown := [name for name in _VARIABLE.findall(word) if name not in known]:
        raise Unknown(f"the default of GRUB is its variable {unknown[0]}")
    return _VARIABLE.sub(lambda match: known[match[1]], word)


def _unquoted(word: str) -> str:
    try:
        return "".join(shlex.split(word)[:1])
    except ValueError:
        return word


def _menu(lines: Iterable[str]) -> _Item:
    """The menu of a script. Raises `Unknown` if its braces do not match."""
    top = _Item(is_menu=True)
    open_: list[_Item] = [top]
    conditions = 0
    for line in map(str.strip, lines):
        if line == "}":
            open_.pop()
            if not open_:
                raise Unknown("the configuration of GRUB is not understood")
        elif line.endswith("{"):
            open_.append(_begun(line, open_[-1], certain=conditions == 0))
        elif re.match(r"if\b", line):
            conditions += 0 if re.search(r"\bfi$", line) else 1
        elif line == "fi":
            conditions -= 1
        elif not open_[-1].name.startswith(_FOREIGN) and (match := _KERNEL.match(line)):
            open_[-1].kernel = _unquoted(match[1])
    if len(open_) != 1:
        raise Unknown("the configuration of GRUB is not understood")
    return top


def _begun(line: str, above: _Item, *, certain: bool) -> _Item:
    """What a line with an opening brace begins: an entry, a menu, or a function."""
    try:
        words = shlex.split(line)
    except ValueError:
        raise Unknown("the configuration of GRUB is not understood") from None
    if words[0] not in ("menuentry", "submenu"):
        return _Item()
    found = _Item(words[1], certain=certain, is_menu=words[0] == "submenu")
    for option, value in pairwise(words):
        if option in ("--id", "$menuentry_id_option", "${menuentry_id_option}"):
            found.name = value
    above.items.append(found)
    return found


def _chosen(menu: _Item, default: str) -> _Item:
    """The entry that ``default`` means: by numbers, titles or names, a step for each
    menu. Raises `Unknown`.
    """
    steps = _steps(default)
    while menu.is_menu:
        menu = _one_of(menu.items, next(steps, ""))
    return menu


def _steps(default: str) -> Iterator[str]:
    """The parts between ``>``, which is doubled in a title."""
    for part in re.split(r"(?<!>)>(?!>)", default):
        yield part.replace(">>", ">")


def _one_of(items: Sequence[_Item], step: str) -> _Item:
    """The first one if there is none that ``step`` means, as GRUB does it."""
    if not items:
        raise Unknown("the menu of GRUB is empty")
    if step.isascii() and step.isdigit():
        at = int(step) if int(step) < len(items) else 0
    else:
        names = [step in (item.title, item.name) for item in items]
        at = names.index(True) if step and True in names else 0
    if not all(item.certain for item in items[: at + 1]):
        raise Unknown("an entry of GRUB is there under a condition")
    return items[at]
