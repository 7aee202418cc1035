#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks of 4 KiB that can be told apart, and where they lie on a LUN.

    stamp FILE FIRST COUNT WORD          each of them says which it is, and WORD
    alternate FILE OTHER TIMES COUNT     COUNT to one and to the other, so that both are in pieces
    compare LAYOUT LUN DISK [FIRST COUNT]

compare reads LUN, past all caches, where the lines of `disk-layout show` in LAYOUT say that
DISK lies, and DISK as anybody does. What it says must be the same, and each block that
holds anything must be found; none of COUNT blocks from FIRST on may be.
"""
import json
import mmap
import os
import sys

BLOCK = 4096
NOTHING = bytes(BLOCK)
PIECE = 1 << 20


def stamp(path, first, count, word):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for block in range(first, first + count):
        text = f"block {block} {word} of {os.path.basename(path)}\n".encode()
        os.pwrite(fd, (text * (BLOCK // len(text) + 1))[:BLOCK], block * BLOCK)
    os.fsync(fd)
    os.close(fd)


def there_in(data, first):
    """Blocks of it that hold anything."""
    if not data.strip(b"\0"):
        return []
    return [
        first + i // BLOCK
        for i in range(0, len(data), BLOCK)
        if data[i : i + BLOCK] != NOTHING[: len(data) - i]
    ]


class Lun:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        self.room = mmap.mmap(-1, 1 << 20)

    def read(self, at, count):
        whole = b""
        while count:
            piece = memoryview(self.room)[: min(count, len(self.room))]
            got = os.preadv(self.fd, [piece], at)
            if got <= 0:
                sys.exit(f"the LUN cannot be read at {at}")
            whole += bytes(piece[:got])
            at += got
            count -= got
        return whole


def compare(layout, lun, disk, first=0, count=0):
    with open(layout, encoding="utf-8") as file:
        head, *extents = [json.loads(line) for line in file]
    device = Lun(lun)
    found = []
    wrong = 0
    with open(disk, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if head["bytes"] != size:
            sys.exit(f"the disk has {size} bytes, not {head['bytes']}")
        for extent in extents:
            offset, at, length = extent["offset"], extent["at"], extent["bytes"]
            if first * BLOCK < offset + length and offset < (first + count) * BLOCK:
                sys.exit(f"blocks {first} to {first + count} should have no place: {extent}")
            for begin in range(0, length, PIECE):
                file.seek(offset + begin)
                wanted = file.read(min(PIECE, length - begin))
                if wanted == device.read(at + begin, min(PIECE, length - begin)):
                    found += there_in(wanted, (offset + begin) // BLOCK)
                    continue
                got = device.read(at + begin, min(PIECE, length - begin))
                for i in range(0, len(wanted), BLOCK):
                    block = (offset + begin + i) // BLOCK
                    # What is only allocated holds what somebody left there.
                    if not there_in(wanted[i : i + BLOCK], block):
                        continue
                    if wanted[i : i + BLOCK] == got[i : i + len(wanted[i : i + BLOCK])]:
                        found.append(block)
                    else:
                        wrong += 1
                        print(f"block {block} is not at {at + begin + i}: {got[i:i + 32]}")
        file.seek(0)
        there = []
        while data := file.read(PIECE):
            there += there_in(data, (file.tell() - len(data)) // BLOCK)
    found = set(found)
    missing = len(set(there) - found)
    there = len(there)
    print(f"{there} blocks, {len(found)} found, {missing} missing, {wrong} wrong, {len(extents)} extents")
    return missing == 0 and wrong == 0 and there > 0


def alternate(path, other, times, count):
    for first in range(0, times * count, count):
        for each in (path, other):
            stamp(each, first, count, "alternate")


arguments = [int(each) if each.isdigit() else each for each in sys.argv[2:]]
if sys.argv[1] == "stamp":
    stamp(*arguments)
elif sys.argv[1] == "alternate":
    alternate(*arguments)
elif not compare(*arguments):
    sys.exit(1)
