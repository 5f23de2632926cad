# SPDX-License-Identifier: BSD-2-Clause
"""The page at the end: what happened, what came of it, and what is wrong."""

import itertools
import statistics
from collections.abc import Mapping

from e2e.ways import WAYS

from . import site, usage
from .beside import account
from .stage import Stage

# What a visit may take that asks for nothing slow, in seconds: a machine that has more to do is slow, too.
SLOW = 10
# So many of what is wrong are told.
TOLD = 20
# What must have become of some requests to a tunnel.
FATES = {
    "front": (
        *("processed", "throttled", "ignored", "sampled", "dropped", "refused_method", "refused_no_key", "refused_keys_differ"),
        *("refused_unknown_key", "refused_too_large", "refused_encoding", "refused_malformed"),
    ),
    "side": ("processed", "refused_max_rate", "refused_unread"),
}
COLUMNS = ("told", "counted", "refused", "captured", "found", "sent", "dropped", "in memory", "gone")


def problems(stage: Stage) -> list[str]:
    """All that must not be."""
    found = list(stage.story.differences)
    if stage.story.panics:
        found.append(f"{stage.story.panics} panics")
    for name, samples in stage.story.samples.items():
        found += [f"{name} grows: {course}" for course in usage.courses(samples) if course.grows()]
    slowest = max((max(times), name) for name, times in stage.times.seconds.items())
    if slowest[0] > SLOW:
        found.append(f"{slowest[1]} took {slowest[0]:.1f} s")
    for what in ("denied", "refused_object", "trips", "heals", "trials"):
        if not stage.story.saintmode[what]:
            found.append(f"saint mode never did this: {what}")
    for tunnel, fates in FATES.items():
        found += [f"nothing became of a report to {tunnel}: {fate}" for fate in fates if not stage.story.reports[tunnel][fate]]
    return found


def page(stage: Stage, found: list[str]) -> str:
    lines = [""]
    lines += traffic(stage) + happenings(stage) + accounts(stage) + machine(stage)
    lines += [f"wrong: {len(found)}", *(f"    {problem}" for problem in found[:TOLD])]
    return "\n".join(lines)


def traffic(stage: Stage) -> list[str]:
    """How many visits of each kind there were and how long they took, in two columns."""
    seconds = stage.times.seconds
    cells = []
    for name in sorted({name.partition("/")[0] for name in seconds}):
        by = [seconds.get(f"{name}/{protocol}", []) for protocol in (1, 2)]
        both = by[0] + by[1]
        cells.append(f"{name:<27}{len(by[0]):>7}{len(by[1]):>7}{statistics.median(both) * 1000:>8.1f} ms{max(both) * 1000:>7.0f} ms")
    every = [time for times in seconds.values() for time in times]
    cells.append(f"{'all':<27}{len(every):>14}{statistics.median(every) * 1000:>8.1f} ms{max(every) * 1000:>7.0f} ms")
    head = f"{'visits':<27}{'HTTP/1':>7}{'HTTP/2':>7}{'median':>11}{'slowest':>10}"
    half = (len(cells) + 1) // 2
    pairs = itertools.zip_longest(cells[:half], cells[half:], fillvalue="")
    return [f"{head}   {head}", *(f"{left}   {right}" for left, right in pairs), ""]


def happenings(stage: Stage) -> list[str]:
    story = stage.story
    seen = {post.way for receiver in stage.receivers.values() for post in receiver.posts}
    posts = sum(len(receiver.posts) for receiver in stage.receivers.values())
    ends = ", ".join(f"{number} {how}" for how, number in sorted(story.ends.items()))
    reloads = ", ".join(f"{number} with {how} settings" for how, number in sorted(story.reloads.items()))
    modes = ", ".join(f"{name} {number}" for name, number in sorted(story.saintmode.items()) if number and name != "live")
    return [
        f"children     {ends}",
        f"reloads      {reloads}; {story.looks} looks in between",
        f"Sentry       {posts} requests, {stage.choice.rounds - 1} times each of {len(WAYS)} ways; {len(seen)} ways of those that were read",
        f"the end      all that waited had arrived {story.drained:.0f} s after it took everything again",
        f"saint mode   {modes}",
        *(f"{name:<13}{told(story.reports[name])}" for name in FATES),
        f"daemon       read {len(stage.daemon.children)} children: {told(stage.daemon.last['found'])}; lost: {told(stage.daemon.last['lost']) or 'nothing'}",
        f"panics       {story.panics}",
        "",
    ]


def told(counts: Mapping[str, int]) -> str:
    """Those that are not zero."""
    counts = {name: number for name, number in counts.items() if number and name not in ("accepted", "dsns")}
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))


def accounts(stage: Stage) -> list[str]:
    lines = ["events      " + "".join(f"{column:>11}" for column in COLUMNS)]
    for client in site.CLIENTS:
        sums = stage.accounts.sums[client.name]
        cells = ["-" if column == "told" and not client.is_told else str(sums[column]) for column in COLUMNS]
        lines.append(f"{client.name:<12}" + "".join(f"{cell:>11}" for cell in cells))
    sums = account(stage.daemon.last)
    cells = [sums["found"], "-", sums["refused"], sums["captured"], "-", sums["sent"], sums["dropped"], sums["waiting"], "-"]
    lines.append(f"{'daemon':<12}" + "".join(f"{cell:>11}" for cell in cells))
    lines += [
        "    told, counted and refused are calls, or items of a tunnel's reports; captured and found in the spool is what had to come to something. In memory:",
        "    what waited in a child that was ended; gone: how much of it neither the server nor the spool has.",
        "",
    ]
    return lines


def machine(stage: Stage) -> list[str]:
    lines = []
    for name, samples in stage.story.samples.items():
        if samples:
            span = f"{samples[0].seconds:.0f} to {samples[-1].seconds:.0f} s"
            lines.append(f"{name}, {len(samples)} samples of {span}, least and most of their thirds")
            lines += [f"    {course}" for course in usage.courses(samples)]
    return [*lines, ""]
