# SPDX-License-Identifier: BSD-2-Clause
"""A picture in SVG: text, lines, bars and dots, by kinds. It has a ground of its own, and both its colours are those that the reader's page asks for."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

# What a thing is: our own, what it is compared with, what is there to measure both by, and what is no number at all.
KINDS = ("ours", "other", "base", "grid")
LIGHT = {"ground": "#ffffff", "text": "#1f2328", "muted": "#59636e", "grid": "#d8dee4", "ours": "#0969da", "other": "#bc4c00", "base": "#9aa3ad"}
DARK = {"ground": "#0d1117", "text": "#f0f6fc", "muted": "#9198a1", "grid": "#30363d", "ours": "#4493f8", "other": "#f0883e", "base": "#6e7681"}
SIZES = {"title": 17, "text": 13, "muted": 12}


def style(colours: dict[str, str]) -> str:
    rules = [f".ground {{ fill: {colours['ground']}; stroke: {colours['grid']} }}"]
    rules += [f".{word} {{ fill: {colours['muted' if word == 'muted' else 'text']} }}" for word in SIZES]
    rules += [f".bar.{kind}, .dot.{kind} {{ fill: {colours[kind]} }} .line.{kind} {{ stroke: {colours[kind]} }}" for kind in KINDS]
    return " ".join([*rules, f".spread {{ stroke: {colours['text']} }}"])


class Svg:
    """Coordinates are in pixels, from the top left corner."""

    def __init__(self, width: int, height: int, about: str):
        self.width, self.height, self.about = width, height, about
        self._parts = [f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>']

    def text(self, x: float, y: float, text: str, size: str = "text", anchor: str = "start") -> None:
        """Text on that line; `size` is a word of SIZES, `anchor` start, middle or end."""
        self._parts.append(f'<text class="{size}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, points: Iterable[tuple[float, float]], kind: str, width: float = 1, dashes: str = "") -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(f'<polyline class="line {kind}" points="{path}" fill="none" stroke-width="{width}" stroke-linejoin="round"{dashed}/>')

    def spread(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Between which two values the middle half is."""
        (x, y), (to_x, to_y) = begin, end
        self._parts.append(f'<line class="spread" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke-width="1.5"/>')

    def bar(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        self._parts.append(f'<rect class="bar {kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>')

    def dot(self, x: float, y: float, kind: str) -> None:
        self._parts.append(f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')

    def __str__(self) -> str:
        sizes = " ".join(f".{word} {{ font-size: {size}px }}" for word, size in SIZES.items())
        rules = f"text {{ font-family: system-ui, 'DejaVu Sans', sans-serif }} .title {{ font-weight: 600 }} {sizes}"
        return "\n".join([
            "<!-- SPDX-License-Identifier: BSD-2-Clause -->",
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" role="img">',
            f"<title>{escape(self.about)}</title>",
            f"<style>{rules} {style(LIGHT)} @media (prefers-color-scheme: dark) {{ {style(DARK)} }}</style>",
            *self._parts,
            "</svg>\n",
        ])  # fmt: skip
