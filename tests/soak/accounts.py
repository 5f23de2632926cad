# SPDX-License-Identifier: BSD-2-Clause
"""Every event of every life: counters are a child's, so each life is accounted for by itself, and what is handed from one
to the next (files, deaths, the memory of a child that ends) is compared where they meet.

Of the client behind a tunnel it is every item, by what it counts for.
"""

import collections
from collections.abc import Mapping

from e2e.accounting import Ledger
from e2e.misbehaving import Misbehaving, Outcome, Post

from . import site
from .book import CALLS_OF_A_VISIT, Book, weight
from .child import Snapshot, View

FINAL = (Outcome.TAKEN, Outcome.REFUSED, Outcome.LIMITED)
# A server that failed so often on an event is not asked again with it.
TRIES = 10
# Requests that the end of a process cuts off: as many connections as a client has, and those of one before it.
CUT_OFF = 4
# What a tunnel accepts becomes of one of these.
ACCEPTED = ("processed", "throttled", "ignored", "sampled", "limited", "dropped")
OUTCOMES = ("answers_2xx", "answers_429", "answers_4xx", "answers_5xx", "answers_other", "unanswered")
# What the server has seen of an event that is dropped for it.
SEEN = ("dropped_rate_limited", "dropped_send_error")


def lost(ledger: Ledger, begin: str = "dropped_") -> int:
    return sum(value for name, value in ledger.counters.items() if name.startswith(begin))


class Accounts:
    """The sums over all lives, by client, and where the life that is now began."""

    def __init__(self) -> None:
        self.sums: dict[str, collections.Counter[str]] = {client.name: collections.Counter() for client in site.CLIENTS}
        # The ids that the spools had when this life began.
        self.left: dict[str, set[str]] = {client.name: set() for client in site.CLIENTS}
        # How far its server was then.
        self.begin: dict[str, int] = dict.fromkeys(self.sums, 0)
        self.lives = 0
        self.ids: dict[str, set[str]] = {client.name: set() for client in site.CLIENTS}

    # While a child lives.

    def imbalances(self, seen: Snapshot) -> dict[str, list[str]]:
        """What was captured and found has to be sent, dropped or waiting, whatever was called."""
        found: dict[str, list[str]] = collections.defaultdict(list)
        for name, view in seen.views.items():
            ledger = view.ledger
            waiting = ledger["queue_events"] + ledger["sending"] + ledger["spool_events"]
            too_many = ledger["sent"] + lost(ledger) + waiting - ledger["captured"] - ledger["spool_found"]
            spool = ledger.differences(0)[1]
            if too_many or spool:
                found[name].append(f"{too_many} too many, {spool} of the spool: {ledger}")
            left = weight(self.left[name])
            if ledger["spool_found"] != left:
                found[name].append(f"{ledger['spool_found']} found in the spool, {left} were left there")
        for tunnel in site.TUNNELS:
            counted = tunnel_counters(seen.counters, tunnel.name)
            if counted["accepted"] != sum(counted[fate] for fate in ACCEPTED):
                found[tunnel.name].append(f"not all that was accepted has a fate: {counted}")
        return found

    def calls(self, seen: Snapshot, book: Book) -> dict[str, list[str]]:
        """What was called has to be counted."""
        found: dict[str, list[str]] = collections.defaultdict(list)
        for client in site.TOLD:
            name, ledger = client.name, seen.views[client.name].ledger
            calls, counted = book.calls[name], ledger["counted"] + lost(ledger, "refused_") + ledger["captured"]
            if not calls <= counted <= book.most(name):
                found[name].append(f"{counted} calls are counted of {calls}, and {book.torn} visits had no answer: {ledger}")
            if not client.is_tunnel and len(book.ids[name]) > ledger["captured"]:
                found[name].append(f"more ids are told than events captured: {ledger}")
            if client.is_tunnel:
                found[name] += reports(tunnel_counters(seen.counters, name), book.reports[name], book.torn)
        errors = seen.counters["VMOD_SENTRY.errors"]
        if not book.errors <= errors <= book.errors + book.torn * CALLS_OF_A_VISIT:
            found["the module"].append(f"{errors} errors are counted of {book.errors}")
        return found

    def differences(self, seen: Snapshot, book: Book) -> dict[str, list[str]]:
        """All of it, while nobody asks."""
        found = self.imbalances(seen)
        for name, more in self.calls(seen, book).items():
            found[name] += more
        return found

    # When it ends.

    def end_life(
        self,
        seen: Snapshot,
        book: Book,
        receivers: Mapping[str, Misbehaving],
        files: dict[str, set[str]],
    ) -> list[str]:
        """What differs at the end of a life: as it was in the end, and the files that it left."""
        found = []
        for client in site.CLIENTS:
            name, view, posts = client.name, seen.views[client.name], receivers[client.name].posts
            ledger, memory = view.ledger, view.in_memory()
            found += [f"{name}: {text}" for text in self._compare(client, view, posts)]
            self.ids[name] |= book.ids[name]
            gone = weight((book.ids[name] | self.left[name]) - settled(posts) - files.get(name, set()))
            unseen = lost(ledger) - sum(ledger[counter] for counter in SEEN)
            # A tunnel leaves out some of what it accepts.
            unseen += lost(ledger, "refused_") if client.is_tunnel else 0
            # Who has a spool takes all along, if there is time.
            may_go = memory if seen.is_cut_off or not client.has_spool else 0
            if gone > unseen + may_go:
                found.append(f"{name}: {gone} events are gone, {unseen} were dropped and {may_go} in memory: {ledger}")
            self._sum(name, ledger, book, memory, max(0, gone - unseen))
            self.left[name] = files.get(name, set())
            self.begin[name] = view.before
        self.lives += 1
        return found

    def _compare(self, client: site.Client, view: View, posts: list[Post]) -> list[str]:
        """What a client counted in a life with what its server saw in it."""
        ledger, begin = view.ledger, self.begin[client.name]
        # What the server has answered, and the client has not read yet, or not in this life.
        late = ledger["sending"] + (CUT_OFF * client.most_at_once if begin else 0)
        least, most = answered(posts[begin : view.before]), answered(posts[begin : view.after])
        return [
            f"{counter} {ledger[counter]}, the server says {least[counter][0]} to {most[counter][1]}: {ledger}"
            for counter in least
            if not least[counter][0] - late <= ledger[counter] <= most[counter][1]
        ]

    def _sum(self, name: str, ledger: Ledger, book: Book, memory: int, gone: int) -> None:
        self.sums[name] += collections.Counter(
            {
                "told": book.calls[name],
                "counted": ledger["counted"],
                "refused": lost(ledger, "refused_"),
                "captured": ledger["captured"],
                "found": ledger["spool_found"],
                "sent": ledger["sent"],
                "dropped": lost(ledger),
                "in memory": memory,
                "gone": gone,
                "silent": book.silent[name],
                "torn": book.torn,
            }
        )

    def end(self, receivers: Mapping[str, Misbehaving]) -> list[str]:
        """What differs over all lives together, when nothing waits any more."""
        found = []
        for client in site.CLIENTS:
            name, sums, posts = client.name, self.sums[client.name], receivers[client.name].posts
            repeated, most = again(posts), CUT_OFF * client.most_at_once * (self.lives - 1)
            if repeated > most:
                found.append(f"{name}: {repeated} came again that were answered for good, {most} may have been cut off")
            if client.is_told:
                unknown = weight({part for post in posts for part in post.parts} - self.ids[name])
                most = sums["silent"] + sums["torn"] * CALLS_OF_A_VISIT
                if unknown > most:
                    found.append(f"{name}: {unknown} events came that nobody was told of, of {most}")
            reported = sum(post.discarded for post in posts if post.outcome is Outcome.TAKEN)
            if reported > sums["refused"] + sums["dropped"] + sums["in memory"]:
                found.append(f"{name}: {reported} losses were reported, {sums['refused']} refused and {sums['dropped']} dropped")
            found += [f"{name}'s server: {complaint}" for complaint in receivers[name].complaints]
        return found


def tunnel_counters(counters: dict[str, int], tunnel: str) -> dict[str, int]:
    """What a tunnel counted, by the counters' own names."""
    begin = f"SENTRY_TUNNEL.{tunnel}."
    return {name.removeprefix(begin): value for name, value in counters.items() if name.startswith(begin)}


def reports(counted: dict[str, int], told: Mapping[str, int], torn: int) -> list[str]:
    """What a tunnel counted of requests that is not what their senders were told."""
    wrong = {
        name: (value, told[name])
        for name, value in counted.items()
        if name not in ("accepted", "dsns") and not told[name] <= value <= told[name] + torn * CALLS_OF_A_VISIT
    }
    return [f"counters, and what was told, with {torn} visits without an answer: {wrong}"] if wrong else []


def answered(posts: list[Post]) -> dict[str, tuple[int, int]]:
    """What these posts say of some counters, at least and at most."""
    taken = of(posts, Outcome.TAKEN)
    limited = of(posts, Outcome.LIMITED) - taken
    refused = of(posts, Outcome.REFUSED) - taken
    unsure = weight(of(posts, Outcome.UNSURE) - taken - limited - refused)
    sent, rate_limited, send_error = map(weight, (taken, limited, refused))
    return {
        "sent": (sent, sent + unsure),
        "dropped_rate_limited": (rate_limited, rate_limited + unsure),
        "dropped_send_error": (send_error, send_error + unsure + weight(given_up(posts))),
    }


def given_up(posts: list[Post]) -> set[str]:
    """On which the server failed as often as it is asked."""
    failed = collections.Counter(part for post in posts if post.outcome is Outcome.FAILED for part in post.parts)
    return {part for part, times in failed.items() if times >= TRIES}


def of(posts: list[Post], outcome: Outcome) -> set[str]:
    return {part for post in posts if post.outcome is outcome for part in post.parts}


def settled(posts: list[Post]) -> set[str]:
    """The ids of which the server knows what came of them, or may know it."""
    return given_up(posts).union(*(of(posts, outcome) for outcome in (*FINAL, Outcome.UNSURE)))


def again(posts: list[Post]) -> int:
    """How many came once more after they were answered for good."""
    done: set[str] = set()
    times = 0
    for post in posts:
        times += weight(done.intersection(post.parts))
        if post.outcome in FINAL:
            done.update(post.parts)
    return times
