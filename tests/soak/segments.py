# SPDX-License-Identifier: BSD-2-Clause
"""The counters that a child leaves behind: its shared memory is read from where it was mapped before the child ended, for
varnishstat knows only children that live.

A segment begins with three words of eight bytes: whether it is ready, where its content begins, and the number of its
description. Descriptions are segments of their own, of JSON that tells where each counter is.
"""

import json
import mmap
import struct
from collections.abc import Callable
from pathlib import Path

HEAD = struct.Struct("=QQQ")


class Segment:
    def __init__(self, folder: Path, words: list[str]) -> None:
        """A segment by its line in the index: file, offset, length, class and name."""
        file, self.offset, self.length = folder / words[1], int(words[2]), int(words[3])
        self.kind, self.name = words[4], " ".join(words[5:])
        with file.open("rb") as opened:
            self.map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def read(self) -> tuple[int, bytes]:
        """The number of its description, or its own if it is one, and its content."""
        data = self.map[self.offset : self.offset + self.length]
        _, begin, number = HEAD.unpack_from(data)
        return number, data[begin:]


def hold(folder: Path, wanted: Callable[[str], bool]) -> Callable[[], dict[str, int]]:
    """Maps the counters whose names are wanted, of the varnishd that works in that folder; the result reads them, whenever
    it is called."""
    child = folder / "_.vsm_child"
    lines: dict[str, list[str]] = {}
    for line in (child / "_.index").read_text().splitlines():
        words = line.split()
        if words[0] == "+" and len(words) > 5 and (words[4] == "StatDoc" or words[4] == "Stat" and wanted(words[5])):
            lines[words[1] + words[2]] = words
        elif words[0] == "-":
            lines.pop(words[1] + words[2], None)
    held = [Segment(child, words) for words in lines.values()]

    def read() -> dict[str, int]:
        docs, counters = {}, {}
        for segment in held:
            if segment.kind == "StatDoc":
                number, content = segment.read()
                docs[number] = json.loads(content.partition(b"\0")[0])["elem"]
        for segment in held:
            if segment.kind == "Stat":
                number, content = segment.read()
                for name, element in docs[number].items():
                    counters[f"{segment.name}.{name}"] = struct.unpack_from("=Q", content, element["index"])[0]
        return counters

    return read
