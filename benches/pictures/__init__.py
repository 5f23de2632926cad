# SPDX-License-Identifier: BSD-2-Clause
"""The README's pictures, drawn from what `make bench` has written; nothing is measured here, and nothing is drawn by hand.

chart.py draws numbers, svg.py writes what is drawn. Needs nothing but Python.
"""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import chart
from .chart import Series, Words
from .svg import Svg

# In a folder, beside the pictures that are drawn from it.
RESULTS = "figures.json"

Data = dict[str, Any]


def draw(folder: Path) -> list[Path]:
    """Draws what is in the folder's results, beside them."""
    results = json.loads((folder / RESULTS).read_text())
    drawn = []
    for name, (group, picture) in PICTURES.items():
        if group in results["groups"]:
            data = {key: numbers for figure in results["groups"][group]["figures"] for key, numbers in figure["data"].items()}
            # A program that is not installed measures nothing.
            if data:
                file = folder / f"bench-{name}.svg"
                file.write_text(str(picture(data, footer(results))))
                drawn.append(file)
    return drawn


def footer(results: dict[str, Any]) -> str:
    machine, command = results["machine"], f"make bench{' QUICK=1' if results['is_quick'] else ''}"
    load = " to ".join(f"{load:.1f}" for load in results["load"])
    return f"{machine['server']}, {machine['cores']} × {machine['processor']}, load {load}; {results['date'][:10]}, {results['commit']}: {command}"


def is_healthy(data: Data, measured: str) -> Svg:
    """What a look-up costs, over the number of entries."""
    steps = sorted(int(key.removeprefix("is_healthy at ").removesuffix(", ns")) for key in data if key.startswith("is_healthy at "))
    # There is no place for 0 on a logarithmic axis.
    steps = [step for step in steps if step]

    def medians(name: str) -> list[float]:
        # The difference of two short times may be none at all.
        return [max(statistics.median(data[f"{name} at {step}, ns"]), 1) for step in steps]

    standard = max(statistics.median(data["std.healthy, ns"]), 1)
    series = [
        Series("saintmode of varnish-modules, in C", "other", medians("is_healthy in C")),
        Series("saintmode of vmod-sentry", "ours", medians("is_healthy")),
        Series("std.healthy(), without a denylist", "base", [standard] * len(steps)),
    ]
    about = ["CPU time of is_healthy() in varnishd, less that of an empty VMOD call, for an object that is not denied: medians."]
    words = Words("What it costs to ask whether a backend is healthy for this object", about, measured)
    return chart.lines(words, series, steps, chart.time, "objects denied on the backend")


def stall(data: Data, measured: str) -> Svg:
    """What hits notice of a Sentry that stalls."""

    def window(which: str) -> list[float]:
        return [micros * 1000 for micros in data[f"99th percentile, µs, {which}"]]

    series = [
        Series("no captures", "base", window("before")),
        Series("10 000 captures meanwhile, none of which is answered", "ours", window("stalled")),
        Series("no captures", "base", window("after")),
    ]
    about = ["99th percentile of the times of 3 000 cache hits a second, while Sentry takes what is sent and never answers."]
    words = Words("What visitors notice of a Sentry that stalls", about, measured)
    return chart.groups(words, series, chart.time, "rounds of three windows of three seconds each")


def tunnel(data: Data, measured: str) -> Svg:
    """How many envelopes a second a tunnel takes, beside its peers."""
    rows = [
        ("sentry.tunnel(), one error again and again", "ours", "ours"),
        ("sentry.tunnel(), without a throttle", "ours", "without a throttle"),
        ("nginx, proxy_pass with keepalive", "other", "nginx"),
        ("nginx, proxy_pass alone", "other", "plain nginx"),
        ("Varnish, return (pass)", "other", "pass"),
        ("Sentry's own for JavaScript, on Node", "other", "official"),
    ]
    series = [Series(name, kind, data[f"{key} a second"]) for name, kind, key in rows if f"{key} a second" in data]
    about = [
        "Envelopes of 1.9 KB from 16 connections, the same server behind all of them: medians, middle halves.",
        "Of one error again and again the tunnel sends ten on and counts the rest; without a throttle all are queued.",
    ]
    words = Words("Browsers' error reports that are answered in a second", about, measured)
    return chart.bars(words, series, chart.thousands)


PICTURES: dict[str, tuple[str, Callable[[Data, str], Svg]]] = {
    "is_healthy": ("saintmode", is_healthy),
    "stall": ("stall", stall),
    "tunnel": ("tunnel", tunnel),
}
