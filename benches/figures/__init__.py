# SPDX-License-Identifier: BSD-2-Clause
"""The figures of `make bench`: what each one measures, how, and what it must reach.

capture.py: what a call costs the request. accept.py: what an envelope of a browser does; tunnel.py: how many a second are taken, beside others that take them, and flood.py what it does in a flood. profile.py: the same in instructions, and that hits cost nothing.
watch.py: what watching costs a hit.
delivery.py: what an event costs on its way, and what a flood and a rate limit do. stall.py: a server that
does not answer. saintmode.py: what a denylist costs, beside the C module. daemon.py: what varnishsentry costs, beside varnishncsa. The servers around it are those of tests/e2e, the sink and the load are Rust (src/bin).
"""

from dataclasses import dataclass, field


@dataclass
class Figure:
    """One line of the table. `met` is None for what has no goal and is there to compare with. `data` has the numbers behind `value`, round by
    round where there are rounds, under names that no other figure of the group has."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None
    data: dict[str, float | list[float]] = field(default_factory=dict)

    def verdict(self) -> str:
        return {True: "ok", False: "**missed**", None: ""}[self.met]


def table(figures: list[Figure]) -> str:
    """The figures in Markdown, as README has them."""
    rows = [(f.name, f.goal, f.value, f.verdict()) for f in figures]
    lines = ["| figure | goal | measured | |", "|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
