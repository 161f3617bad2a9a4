# SPDX-License-Identifier: GPL-2.0-only
"""The functions that ``ub bench functions`` calls, and their arguments.

All are in common libraries; missing ones are skipped.
"""

from __future__ import annotations

import ctypes
import locale
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["VARIANTS", "Prepared", "prepare"]

#: glibc selects variants of its string functions by processor features; without some
#: features it selects others (glibc manual, "Hardware Capability Tunables").
VARIANTS = {
    "": "",
    "avx2": "glibc.cpu.hwcaps=-AVX512VL,-AVX512BW,-RTM",
    "sse2": "glibc.cpu.hwcaps=-AVX512VL,-AVX512BW,-RTM,-AVX2,-AVX,-ERMS,-FSRM",
}

_TEXT = (
    b"The quick brown fox jumps over the lazy dog while 1048576 sphinxes of black "
    b"quartz judge my vow; pack my box with five dozen liquor jugs, please, and then "
    b"some more text so that this is about as long as a line in a log file or a small "
    b"message of a protocol would be: GET /index.html?user=4711&page=12 HTTP/1.1"
)
_UTF8 = "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich — ўжо ξεσκεπάζω 漢字"
_AF_INET, _AF_INET6 = 2, 10


@dataclass(frozen=True, slots=True)
class Prepared:
    """A function's address and its arguments."""

    name: str
    group: str
    address: int
    arguments: tuple[int, ...]
    #: All memory that may change: addresses and initial contents.
    memory: tuple[tuple[int, bytes], ...] = ()
    #: The owner of that memory.
    owner: object = None

    def reset(self) -> None:
        """Restore the initial contents of the memory."""
        for address, content in self.memory:
            ctypes.memmove(address, content, len(content))

    def state(self) -> list[bytes]:
        """The present contents of the memory."""
        return [ctypes.string_at(at, len(content)) for at, content in self.memory]


class _Builder:
    """Looks up functions and owns the memory of their arguments."""

    def __init__(self) -> None:
        self.keep: list[Any] = []
        self.memory: list[tuple[int, bytes]] = []
        self.found: list[Prepared] = []
        self._libraries: dict[str, ctypes.CDLL | None] = {}

    def buffer(self, content: bytes | int, align: int = 64) -> int:
        """The address of new memory with ``content``, or of ``content`` bytes."""
        size = content if isinstance(content, int) else len(content) + 1
        memory = ctypes.create_string_buffer(size + align)
        self.keep.append(memory)
        address = -(-ctypes.addressof(memory) // align) * align
        if isinstance(content, bytes):
            ctypes.memmove(address, content, len(content))
        self.memory.append((address, ctypes.string_at(address, size)))
        return address

    def address(self, library: str, symbol: str) -> int | None:
        """The address of the function; None if there is none."""
        if library not in self._libraries:
            try:
                self._libraries[library] = ctypes.CDLL(library)
            except OSError:
                self._libraries[library] = None
        try:
            function = getattr(self._libraries[library], symbol)
        except AttributeError:
            return None
        return ctypes.cast(function, ctypes.c_void_p).value

    def add(self, group: str, library: str, symbol: str, *arguments: int) -> None:
        address = self.address(library, symbol)
        if address is not None:
            self.found.append(Prepared(symbol, group, address, arguments))


def prepare(variant: str) -> Iterator[Prepared]:
    """The functions of a variant; each holds a reference to its memory.

    For a variant other than "" this process must have been started with its tunables.
    """
    builder = _Builder()
    _strings(builder)
    if not variant:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
        for more in (_parsers, _formats, _tables, _checksums, _database):
            more(builder)
    memory = tuple(builder.memory)
    for subject in builder.found:
        yield replace(subject, memory=memory, owner=builder)


def _strings(b: _Builder) -> None:
    libc = "libc.so.6"
    line, other = b.buffer(_TEXT), b.buffer(_TEXT)
    page = b.buffer(_TEXT * 8)
    copy = b.buffer(8192)
    size = len(_TEXT)
    add: Callable[..., None] = b.add
    add("string", libc, "strlen", line)
    add("string", libc, "strchr", line, ord("?"))
    add("string", libc, "strrchr", line, ord(";"))
    add("string", libc, "memchr", page, ord("@"), 8 * size)
    add("string", libc, "rawmemchr", line, 0)
    add("string", libc, "strcmp", line, other)
    add("string", libc, "strncmp", line, other, size)
    add("string", libc, "memcmp", line, other, size)
    add("string", libc, "strcasecmp", line, other)
    add("string", libc, "memcpy", copy, page, 8 * size)
    add("string", libc, "memmove", copy + 16, copy, size)
    add("string", libc, "memset", copy, 0x5A, 700)
    add("string", libc, "stpcpy", copy, line)
    add("string", libc, "strnlen", line, 4096)


def _parsers(b: _Builder) -> None:
    libc = "libc.so.6"
    end = b.buffer(16)
    out = b.buffer(256)
    add = b.add
    add("parser", libc, "strtol", b.buffer(b"  -1234567890 "), end, 10)
    add("parser", libc, "strtoul", b.buffer(b"0xdeadbeefcafe"), end, 0)
    add("parser", libc, "strtod", b.buffer(b"31415.92653e-4"), end)
    add("parser", libc, "inet_aton", b.buffer(b"192.168.117.254"), out)
    add(
        "parser",
        libc,
        "inet_pton",
        _AF_INET6,
        b.buffer(b"2001:db8::8a2e:370:7334"),
        out,
    )
    add("parser", libc, "ether_aton_r", b.buffer(b"52:54:00:12:34:56"), out)
    add(
        "parser",
        libc,
        "strspn",
        b.buffer(b"0123456789012345678x"),
        b.buffer(b"0123456789"),
    )
    add("parser", libc, "strcspn", b.buffer(_TEXT), b.buffer(b"?&="))
    add("parser", libc, "strpbrk", b.buffer(_TEXT), b.buffer(b";:"))
    add("parser", libc, "strstr", b.buffer(_TEXT), b.buffer(b"HTTP/1"))
    add("parser", libc, "memmem", b.buffer(_TEXT), len(_TEXT), b.buffer(b"page="), 5)
    add("utf8", libc, "mbstowcs", b.buffer(1024), b.buffer(_UTF8.encode()), 200)
    add("utf8", libc, "mblen", b.buffer("漢".encode()), 4)


def _formats(b: _Builder) -> None:
    libc = "libc.so.6"
    out = b.buffer(512)
    add = b.add
    add(
        "format",
        libc,
        "snprintf",
        out,
        256,
        b.buffer(b"%d %s %08x"),
        4711,
        b.buffer(b"abc"),
        99,
    )
    add("format", libc, "inet_ntop", _AF_INET, b.buffer(b"\x7f\x21\xfe\x01"), out, 64)
    when = b.buffer((1_700_000_000).to_bytes(8, "little"))
    broken = b.buffer(64)
    add("format", libc, "gmtime_r", when, broken)
    add("format", libc, "l64a", 123456789)
    # Fri 2023-11-17 10:11:12
    fields = (12, 11, 10, 17, 10, 123, 5, 320, 0)
    date = b"".join(field.to_bytes(4, "little") for field in fields) + bytes(20)
    add(
        "format",
        libc,
        "strftime",
        out,
        64,
        b.buffer(b"%Y-%m-%d %H:%M:%S"),
        b.buffer(date),
    )
    add("format", "libcrypto.so.3", "EVP_EncodeBlock", out, b.buffer(_TEXT), 240)


def _tables(b: _Builder) -> None:
    libc = "libc.so.6"
    words: list[bytes] = sorted(
        f"k{n * 7919 % 9973:04d}".encode().ljust(8, b"\0") for n in range(60)
    )
    compare = b.address(libc, "strcmp")
    assert compare is not None
    table = b.buffer(b"".join(words))
    shuffled = b.buffer(b"".join(words[::2] + words[1::2]))
    add = b.add
    add("table", libc, "bsearch", b.buffer(words[41]), table, 60, 8, compare)
    add("table", libc, "qsort", shuffled, 60, 8, compare)
    count = b.buffer((60).to_bytes(8, "little"))
    add("table", libc, "lfind", b.buffer(words[37]), table, count, 8, compare)
    add("hash", "libcrypto.so.3", "OPENSSL_LH_strhash", b.buffer(_TEXT[:64]))
    add("random", libc, "rand_r", b.buffer(8))


def _checksums(b: _Builder) -> None:
    data = b.buffer(_TEXT * 4)
    add = b.add
    add("checksum", "libz.so.1", "crc32", 0, data, 1000)
    add("checksum", "libz.so.1", "adler32", 1, data, 1000)
    add("checksum", "libc.so.6", "swab", data, b.buffer(2048), 1000)
    add("checksum", "libcrypto.so.3", "MD5_Transform", b.buffer(256), data)
    add("checksum", "libcrypto.so.3", "CRYPTO_memcmp", data, b.buffer(_TEXT * 4), 600)


def _database(b: _Builder) -> None:
    sqlite = "libsqlite3.so.0"
    add = b.add
    add(
        "parser",
        sqlite,
        "sqlite3_complete",
        b.buffer(b"SELECT a, b FROM t WHERE c = 'it''s';"),
    )
    add(
        "parser",
        sqlite,
        "sqlite3_strglob",
        b.buffer(b"*page=*HTTP/?.[0-9]"),
        b.buffer(_TEXT),
    )
    add(
        "parser",
        sqlite,
        "sqlite3_strlike",
        b.buffer(b"%JUDGE%vow%"),
        b.buffer(_TEXT),
        0,
    )
    add("string", sqlite, "sqlite3_stricmp", b.buffer(_TEXT.upper()), b.buffer(_TEXT))
