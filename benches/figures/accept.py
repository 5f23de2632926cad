# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to judge an envelope of a browser, once its body is there; without varnishd around it."""

import statistics

from . import Figure
from .tools import rounds, run, spread

ROUNDS = 9


def figures() -> list[Figure]:
    found = run("bench-accept", rounds(ROUNDS))
    small, small_allocations, middle, _, large, _, throttled, throttled_allocations = (list(column) for column in zip(*found))
    return [
        Figure("accepted envelope of 1.9 KB: ns; heap allocations", f"{spread(small)}; {small_allocations[0]:.0f}", "≤ 8000 ns", statistics.median(small) <= 8000, {"1.9 KB, ns": small, "1.9 KB, allocations": small_allocations[0]}),
        Figure("… of 64 KB, all of which is looked at, µs", spread((ns / 1000 for ns in middle), 1), data={"64 KB, ns": middle}),
        Figure("… of 1 MB, of which 64 KB are, µs", spread((ns / 1000 for ns in large), 1), data={"1 MB, ns": large}),
        Figure("… of 1.9 KB that is throttled: ns; heap allocations", f"{spread(throttled)}; {throttled_allocations[0]:.0f}", data={"throttled, ns": throttled, "throttled, allocations": throttled_allocations[0]}),
    ]
