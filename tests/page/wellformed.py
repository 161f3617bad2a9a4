# SPDX-License-Identifier: GPL-2.0-only
"""What every page has to be: well-formed, complete by itself, and usable unseen."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

__all__ = ["problems", "text_of"]

_VOID = ("meta", "link", "br", "hr", "img", "input")
_LOADING = ("src", "href", "xlink:href", "srcset", "action", "data", "poster")


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.targets: list[str] = []
        self.found: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)
        self._look(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if "svg" not in self.open and tag not in _VOID:
            self.found.append(f"<{tag}/> is no element of HTML")
        self._look(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.found.append(f"</{tag}> where {self.open[-1:]} is open")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def _look(self, tag: str, attributes: dict[str, str | None]) -> None:
        if attributes.get("id"):
            self.ids[attributes["id"] or ""] += 1
        if tag == "svg" and not (
            attributes.get("role") == "img" and attributes.get("aria-label")
        ):
            self.found.append("an svg without an alternative text")
        if tag == "img" and not attributes.get("alt"):
            self.found.append("an img without an alternative text")
        if tag in ("script", "iframe", "object", "embed"):
            self.found.append(f"a <{tag}>")
        for name, value in attributes.items():
            if name.startswith("on"):
                self.found.append(f"an event handler {name}")
            if name in _LOADING and value is not None:
                if value.startswith("#"):
                    self.targets.append(value[1:])
                elif not value.startswith("data:"):
                    self.found.append(f"{name}={value} is loaded")
            if value and "url(" in value and "url(#" not in value:
                self.found.append(f"{name}={value} is loaded")


def _checked(page: str) -> _Checker:
    checker = _Checker()
    checker.feed(page)
    checker.close()
    return checker


def problems(page: str) -> list[str]:
    """What is wrong with a page, or a part of one; empty if nothing is."""
    checker = _checked(page)
    found = checker.found + [f"<{tag}> is not closed" for tag in checker.open]
    found += [f"id {name!r} twice" for name, n in checker.ids.items() if n > 1]
    found += [f"no {t!r} to go to" for t in checker.targets if t not in checker.ids]
    return found


def text_of(page: str) -> str:
    """All that is to be read."""
    return " ".join(" ".join(_checked(page).text).split())
