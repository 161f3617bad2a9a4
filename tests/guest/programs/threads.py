# SPDX-License-Identifier: GPL-2.0-only
"""Threads that read a file piece by piece and send sums through pipes."""

import os
import sys
import threading

PIECE = 64
WORKERS = 3


def work(path: str, number: int, pipe: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    total = 0
    size = os.fstat(fd).st_size
    for at in range(number * PIECE, size, WORKERS * PIECE):
        data = os.pread(fd, PIECE, at)
        total = (total * 31 + sum(data)) % 1000003
        os.write(pipe, b"%06d" % total)
    os.close(fd)
    os.close(pipe)


def main() -> None:
    readers = []
    for number in range(WORKERS):
        reading, writing = os.pipe()
        threading.Thread(target=work, args=(sys.argv[1], number, writing)).start()
        readers.append(reading)
    for number, reading in enumerate(readers):
        count, last = 0, b""
        while data := os.read(reading, 6):
            count, last = count + 1, data
        print(number, count, last.decode())


main()
