# SPDX-License-Identifier: BSD-2-Clause
"""The pictures that `make bench` draws: well-formed, complete, and in docs/ as they are drawn from the numbers there."""

import json
import shutil
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from . import ROOT, pictures, svg

SVG = "{http://www.w3.org/2000/svg}"
DOCS = ROOT / "docs"

SAINTMODE = {"std.healthy, ns": [9, 10, 12]}
for step, c in ((0, 9), (1, 11), (10, 40), (1000, 1500)):
    SAINTMODE |= {f"is_healthy at {step}, ns": [16, 17, 19], f"is_healthy in C at {step}, ns": [c - 1, c, c + 2]}
# Two of the tunnel's peers are not installed.
DATA = {
    "saintmode": SAINTMODE,
    "stall": {f"99th percentile, µs, {which}": [310.0, 330.5, 298.1] for which in ("before", "stalled", "after")},
    "tunnel": {"ours a second": [50100, 51000, 52000], "without a throttle a second": [21000, 22000, 22500], "pass a second": [14000, 15000, 15500]},
}
NAMES = {
    "is_healthy": ["saintmode of vmod-sentry", "saintmode of varnish-modules, in C", "std.healthy(), without a denylist", "1.5 µs", "17 ns", "10 ns"],
    "stall": ["no captures", "10 000 captures meanwhile, none of which is answered", "400 µs", "3"],
    "tunnel": ["sentry.tunnel(), one error again and again", "sentry.tunnel(), without a throttle", "Varnish, return (pass)", "51\u202f000"],
}


def results(groups: dict[str, dict[str, list[float]]]) -> str:
    """What `make bench` would have written."""
    machine = {"server": "Varnish 7.1.1", "cores": 2, "processor": "A <fast> & small one"}
    found = {group: {"figures": [{"name": "all", "data": data}]} for group, data in groups.items()}
    return json.dumps({"date": "2026-11-30T01:02:03+00:00", "commit": "0123abc", "machine": machine, "is_quick": True, "load": [0.25, 1], "groups": found})


def extent(text: ElementTree.Element) -> tuple[float, float]:
    """Where a line of text begins and ends, about: a letter of the widest usual font takes half of its height."""
    x, length = float(text.attrib["x"]), 0.52 * svg.SIZES[text.attrib["class"]] * len(text.text or "")
    begin = x - length * {"start": 0, "middle": 0.5, "end": 1}[text.attrib["text-anchor"]]
    return begin, begin + length


class Pictures(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="pictures-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def draw(self, groups: dict[str, dict[str, list[float]]]) -> dict[str, ElementTree.Element]:
        """What is drawn of these numbers, by the names of the pictures."""
        (self.folder / pictures.RESULTS).write_text(results(groups))
        return {file.stem.removeprefix("bench-"): ElementTree.parse(file).getroot() for file in pictures.draw(self.folder)}

    def test_each_picture_is_well_formed_and_names_all_that_it_shows(self) -> None:
        drawn = self.draw(DATA)
        self.assertEqual(drawn.keys(), pictures.PICTURES.keys())
        for name, picture in drawn.items():
            texts = [text.text for text in picture.iter(f"{SVG}text")]
            with self.subTest(name):
                self.assertEqual([word for word in NAMES[name] if word not in texts], [], texts)
                self.assertIn("Varnish 7.1.1, 2 × A <fast> & small one, load 0.2 to 1.0; 2026-11-30, 0123abc: make bench QUICK=1", texts)

    def test_nothing_is_drawn_outside_of_a_picture_and_no_names_lie_on_each_other(self) -> None:
        for name, picture in self.draw(DATA).items():
            width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
            places = [(x, float(text.attrib["y"])) for text in picture.iter(f"{SVG}text") for x in extent(text)]
            places += [tuple(map(float, point.split(","))) for line in picture.iter(f"{SVG}polyline") for point in line.attrib["points"].split()]
            for bar in picture.iter(f"{SVG}rect"):
                x, y, wide, high = (float(bar.attrib[key]) for key in ("x", "y", "width", "height"))
                places += [(x, y), (x + wide, y + high)]
            with self.subTest(name):
                self.assertEqual([place for place in places if not (0 <= place[0] <= width and 0 <= place[1] <= height)], [])
                names = [(text.attrib["x"], text.attrib["y"]) for text in picture.iter(f"{SVG}text")]
                self.assertEqual(len(names), len(set(names)))

    def test_what_was_not_measured_is_not_drawn(self) -> None:
        self.assertEqual(list(self.draw({"stall": DATA["stall"], "tunnel": {}, "capture": {"capture, ns": [1500, 1500]}})), ["stall"])

    def test_those_in_docs_are_drawn_from_the_numbers_there(self) -> None:
        shutil.copy(DOCS / pictures.RESULTS, self.folder)
        drawn = {file.name: file.read_text() for file in pictures.draw(self.folder)}
        self.assertEqual(drawn, {file.name: file.read_text() for file in DOCS.glob("*.svg")})
        self.assertEqual(len(drawn), len(pictures.PICTURES))
