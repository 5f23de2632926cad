# SPDX-License-Identifier: BSD-2-Clause
"""Three charts: lines over two logarithmic axes, bars that stand in groups, and bars that lie. Numbers in, a picture out."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from .svg import Svg

WIDTH = 760
# What a line of text takes.
LINE = 17


@dataclass
class Words:
    """What is said around the numbers."""

    title: str
    about: list[str]
    # Where and when it was measured.
    footer: str


@dataclass
class Series:
    name: str
    kind: str
    values: list[float]


def frame(words: Words, height: int) -> tuple[Svg, int, int]:
    """A picture with title and footer; between which lines there is room, `height` in all."""
    top = 32 + LINE * len(words.about) + 12
    svg = Svg(WIDTH, top + height + 30, f"{words.title}. {' '.join(words.about)}")
    svg.text(16, 28, words.title, "title")
    for number, line in enumerate(words.about, 1):
        svg.text(16, 30 + LINE * number, line, "muted")
    svg.text(16, top + height + 16, words.footer, "muted")
    return svg, top, top + height


def lines(words: Words, series: list[Series], at: list[float], told: Callable[[float], str], x_name: str) -> Svg:
    """A line for each series over the places `at`, both axes logarithmic; a name and the last value at each line's end."""
    svg, top, bottom = frame(words, 300)
    left, right, bottom = 70, WIDTH - 280, bottom - 44
    least, most = (math.floor(math.log10(min(min(s.values) for s in series))), math.ceil(math.log10(max(max(s.values) for s in series))))
    first, last = math.log10(at[0]), math.log10(at[-1])

    def x(value: float) -> float:
        return left + (math.log10(value) - first) / (last - first) * (right - left)

    def y(value: float) -> float:
        return bottom - (math.log10(value) - least) / (most - least) * (bottom - top)

    for power in range(least, most + 1):
        svg.line([(left, y(10**power)), (right, y(10**power))], "grid")
        svg.text(left - 8, y(10**power) + 4, told(10**power), "muted", "end")
    for place in at:
        svg.text(x(place), bottom + 18, thousands(place), "muted", "middle")
    svg.text((left + right) / 2, bottom + 38, x_name, "muted", "middle")
    ends = apart([y(s.values[-1]) for s in series], 2 * LINE)
    for s, end in zip(series, ends):
        points = [(x(place), y(value)) for place, value in zip(at, s.values)]
        svg.line(points, s.kind, 2.5 if s.kind != "base" else 1.5, "" if s.kind != "base" else "5 4")
        if s.kind != "base":
            for point in points:
                svg.dot(*point, s.kind)
        svg.text(right + 30, end - 3, s.name)
        svg.text(right + 30, end + LINE - 4, told(s.values[-1]), "muted")
    return svg


def groups(words: Words, series: list[Series], told: Callable[[float], str], x_name: str) -> Svg:
    """For each place of the series a group of bars, one beside the other; series of one name are one in the legend."""
    svg, top, bottom = frame(words, 280)
    left, right, top, bottom = 70, WIDTH - 16, top + 26, bottom - 40
    step = nice(max(max(s.values) for s in series) / 4)
    most = step * math.ceil(max(max(s.values) for s in series) / step)
    for number in range(round(most / step) + 1):
        y = bottom - number * step / most * (bottom - top)
        svg.line([(left, y), (right, y)], "grid")
        svg.text(left - 8, y + 4, told(number * step), "muted", "end")
    places = len(series[0].values)
    room = (right - left) / places
    width = room * 0.7 / len(series)
    for place in range(places):
        begin = left + room * place + room * 0.15
        for number, s in enumerate(series):
            height = s.values[place] / most * (bottom - top)
            svg.bar(begin + width * number + 1, bottom - height, width - 2, height, s.kind)
        svg.text(begin + room * 0.35, bottom + 16, str(place + 1), "muted", "middle")
    svg.text((left + right) / 2, bottom + 34, x_name, "muted", "middle")
    x = left
    for name, kind in {s.name: s.kind for s in series}.items():
        svg.bar(x, top - 24, 11, 11, kind)
        svg.text(x + 17, top - 14, name)
        x += 40 + 7.2 * len(name)
    return svg


def bars(words: Words, series: list[Series], told: Callable[[float], str]) -> Svg:
    """A bar for each series, as long as its median, with the middle half of its values; names stand before them."""
    svg, top, bottom = frame(words, 12 + 40 * len(series))
    left, right = 300, WIDTH - 90
    most = max(max(s.values) for s in series)
    for number, s in enumerate(series):
        y = top + 6 + 40 * number
        low, middle, high = statistics.quantiles(s.values, n=4)
        svg.text(left - 10, y + 18, s.name, anchor="end")
        svg.bar(left, y + 2, max(middle / most * (right - left), 1), 24, s.kind)
        begin, end = (left + value / most * (right - left) for value in (low, high))
        svg.spread((begin, y + 14), (end, y + 14))
        svg.text(max(end, left + middle / most * (right - left)) + 8, y + 18, told(middle))
    return svg


def apart(places: list[float], least: float) -> list[float]:
    """The places, moved so that no two are closer than that."""
    moved = dict.fromkeys(range(len(places)), 0.0)
    above = -math.inf
    for number in sorted(moved, key=places.__getitem__):
        moved[number] = above = max(places[number], above + least)
    return list(moved.values())


def nice(step: float) -> float:
    """The next larger 1, 2 or 5 of a decade."""
    decade = 10 ** math.floor(math.log10(step))
    return next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= step)


def thousands(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\u202f")


def time(ns: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns" if ns else "0"
