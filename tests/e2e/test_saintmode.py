# SPDX-License-Identifier: BSD-2-Clause
"""saintmode under concurrent traffic and reloads: what clients get, what the counters say, what is left."""

import json
import random
import re
import time
import unittest
from pathlib import Path

from . import wait
from .origin import Origin
from .traffic import Client, traffic
from .varnishd import Varnishd

CLIENTS = 8
URLS = 1000
# Every other request is for one of these.
FREQUENT = 20
RELOADS = 4
# Answers in all before the next reload.
ANSWERS = 1000
# A denial as long as any here, and the window of the failure rate.
LONGEST = 0.5
WINDOW = 1

VCL = """
vcl 4.1;

import directors;
import saintmode;
import sentry;
import std;

backend one {{ .host = "127.0.0.1"; .port = "{one}"; }}
backend two {{ .host = "127.0.0.1"; .port = "{two}"; }}

sub vcl_init {{
    new sm1 = saintmode.saintmode(one, 30, group = "app", max_sick_percent = 50, on = "5xx, error", ttl = 20ms,
        max_ttl = {longest}s, half_open = true, max_failure_percent = 40, min_requests = 20, window = {window}s);
    new sm2 = saintmode.saintmode(two, 30, group = "app", max_sick_percent = 50, on = "5xx, error", ttl = 20ms,
        max_ttl = {longest}s, half_open = true, max_failure_percent = 40, min_requests = 20, window = {window}s);
    new pool = directors.random();
    pool.add_backend(sm1.backend(), 1);
    pool.add_backend(sm2.backend(), 1);
    # Over a director, and without anybody to take its place.
    new alone = saintmode.saintmode(pool.backend(), 20, half_open = true);
}}

sub vcl_recv {{
    if (req.url ~ "^/report") {{
        return (synth(700));
    }}
    if (req.method == "CLEAR") {{
        sm1.clear();
        sm2.clear();
        alone.clear();
        return (synth(200));
    }}
    if (req.method == "PURGE") {{
        return (purge);
    }}
    return (pass);
}}

sub vcl_hash {{
    hash_data(req.url);
    return (lookup);
}}

sub vcl_purge {{
    sm1.allow();
    sm2.allow();
    alone.allow();
}}

sub vcl_backend_fetch {{
    set bereq.backend = pool.backend();
    if (bereq.http.Alone) {{
        set bereq.backend = alone.backend();
    }}
}}

sub vcl_backend_response {{
    # A trial that nobody sees ends with its task.
    if (!bereq.http.Silent) {{
        saintmode.observe();
    }}
    if (bereq.http.Deny) {{
        saintmode.denylist(std.duration(bereq.http.Deny));
    }}
    if (beresp.status >= 500 && bereq.retries < 1) {{
        return (retry);
    }}
}}

sub vcl_backend_error {{
    saintmode.observe();
    set beresp.http.Why = sentry.fetch_error();
}}

sub vcl_deliver {{
    set resp.http.Generation = "{generation}";
    # Three verdicts more.
    set resp.http.Healthy = sm1.is_healthy() + " " + sm2.is_healthy() + " " + alone.is_healthy();
}}

sub vcl_synth {{
    if (resp.status == 700) {{
        set resp.status = 200;
        synthetic(saintmode.report(cursor = regsub(req.url, "^[^?]*\\??", ""), limit = 25));
        return (deliver);
    }}
}}
"""

# Asks the same question three times: the client's task, the fetch, and the server on its way to the backend.
ASKED = """
vcl 4.1;

import directors;
import saintmode;
import std;

backend one {{ .host = "127.0.0.1"; .port = "{one}"; }}
backend two {{ .host = "127.0.0.1"; .port = "{two}"; }}

sub vcl_init {{
    new sm1 = saintmode.saintmode(one, 2, group = "app", max_sick_percent = 50, on = "5xx", ttl = 1ms,
        half_open = true, max_failure_percent = 50, min_requests = 5, window = 1s);
    new sm2 = saintmode.saintmode(two, 2, group = "app", max_sick_percent = 50, on = "5xx", ttl = 1ms,
        half_open = true, max_failure_percent = 50, min_requests = 5, window = 1s);
    new pool = directors.random();
    pool.add_backend(sm1.backend(), 1);
    pool.add_backend(sm2.backend(), 1);
    new over = saintmode.saintmode(pool.backend(), 2, on = "5xx", ttl = 1ms, half_open = true);
    new alone = saintmode.saintmode(one, 2, on = "5xx", ttl = 1ms, half_open = true, max_failure_percent = 50,
        min_requests = 5, window = 1s);
    new deep = saintmode.saintmode(alone.backend(), 2);
}}

sub vcl_recv {{
    if (req.method == "CLEAR") {{
        sm1.clear();
        sm2.clear();
        over.clear();
        alone.clear();
        deep.clear();
        return (synth(200));
    }}
    if (req.method == "PURGE") {{
        return (purge);
    }}
    return (pass);
}}

sub vcl_purge {{
    sm1.allow();
    sm2.allow();
    over.allow();
    alone.allow();
    deep.allow();
}}

sub vcl_pass {{
    if (req.http.To == "sm1") {{
        set req.http.Said = sm1.is_healthy();
    }} elsif (req.http.To == "sm2") {{
        set req.http.Said = sm2.is_healthy();
    }} elsif (req.http.To == "over") {{
        set req.http.Said = over.is_healthy();
    }} elsif (req.http.To == "deep") {{
        set req.http.Said = deep.is_healthy();
    }} else {{
        set req.http.Said = alone.is_healthy();
    }}
}}

sub vcl_backend_fetch {{
    if (bereq.http.To == "sm1") {{
        set bereq.http.Said = bereq.http.Said + " " + sm1.is_healthy();
        set bereq.backend = sm1.backend();
    }} elsif (bereq.http.To == "sm2") {{
        set bereq.http.Said = bereq.http.Said + " " + sm2.is_healthy();
        set bereq.backend = sm2.backend();
    }} elsif (bereq.http.To == "over") {{
        set bereq.http.Said = bereq.http.Said + " " + over.is_healthy();
        set bereq.backend = over.backend();
    }} elsif (bereq.http.To == "deep") {{
        set bereq.http.Said = bereq.http.Said + " " + deep.is_healthy();
        set bereq.backend = deep.backend();
    }} else {{
        set bereq.http.Said = bereq.http.Said + " " + alone.is_healthy();
        set bereq.backend = alone.backend();
    }}
}}

sub vcl_backend_response {{
    if (bereq.http.Deny) {{
        saintmode.denylist(std.duration(bereq.http.Deny));
    }} elsif (!bereq.http.Silent) {{
        saintmode.observe();
    }}
    set beresp.http.Said = bereq.http.Said + " true";
}}

sub vcl_backend_error {{
    set beresp.http.Said = bereq.http.Said + " false";
}}
"""

REFUSED = re.compile(r"^Director \S+ returned no backend$|^No backend$")


class Visitor(Client):
    """Asks for pages, denies, allows, clears and reads reports, by chance."""

    def __init__(self, port: int, number: int):
        super().__init__(port, number)
        self.random = random.Random(number)
        self.refused: dict[str, int] = {}

    def act(self) -> None:
        chance = self.random.random()
        page = f"/{self.random.randrange(self.random.choice((FREQUENT, URLS)))}"
        if chance < 0.002:
            self.expect_ok("CLEAR", page)
        elif chance < 0.12:
            self.expect_ok("PURGE", page)
        elif chance < 0.17:
            self.read_report()
        else:
            self.fetch(page)

    def expect_ok(self, method: str, url: str) -> bytes:
        response, body = self.ask(method, url, {})
        if response.status != 200:
            self.wrong.append(f"{method} {url}: {response.status}")
        return body

    def read_report(self) -> None:
        cursor = ""
        while cursor is not None and not self.stopping.is_set():
            page = json.loads(self.expect_ok("GET", f"/report?{cursor}"))
            over = [entry for entry in page["entries"] if entry["ttl"] < 0]
            if over or len(page["entries"]) > 25:
                self.wrong.append(f"report: {len(page['entries'])} entries, {over}")
            cursor = page["next"]

    def fetch(self, page: str) -> None:
        headers = {}
        if self.random.random() < 0.4:
            headers["Deny"] = f"{self.random.choice((1, 10, 50, int(LONGEST * 1000)))}ms"
        if self.random.random() < 0.4:
            headers["Alone"] = "yes"
        if self.random.random() < 0.3:
            headers["Silent"] = "yes"
        response, body = self.ask("GET", page, headers)
        if response.status == 503 and REFUSED.match(response.headers["Why"] or ""):
            generation = response.headers["Generation"]
            self.refused[generation] = self.refused.get(generation, 0) + 1
            return
        as_expected = response.status == 200 or response.status == 500 and fails(page)
        if not as_expected or not body.startswith(page.encode()):
            self.wrong.append(f"{page} {headers}: {response.status} {response.headers['Why']} {body[:60]!r}")


def fails(page: str) -> bool:
    return int(page[1:]) % 3 == 0


class Traffic(unittest.TestCase):
    def test_denials_under_traffic_and_reloads_end_and_leave_nothing(self) -> None:
        with Origin("one") as one, Origin("two") as two:
            faults: dict[str, int | str] = {f"/{n}": 500 for n in range(URLS) if fails(f"/{n}")}
            one.faults, two.faults = faults, faults

            def vcl(generation: int) -> str:
                return VCL.format(one=one.port, two=two.port, generation=generation, longest=LONGEST, window=WINDOW)

            with Varnishd(vcl(0), parameters={"timeout_idle": "60", "debug": "+vclrel"}) as varnishd:
                child = varnishd.child()
                clients = [Visitor(varnishd.port, number) for number in range(CLIENTS)]
                memory = 0
                with traffic(clients):
                    old = "boot"
                    for generation in range(1, RELOADS + 1):
                        new = f"generation{generation}"
                        varnishd.use_vcl(vcl(generation), new)
                        varnishd.adm("vcl.discard", old)
                        old = new
                        enough = sum(client.answers for client in clients) + ANSWERS
                        wait.until(
                            lambda: sum(client.answers for client in clients) >= enough
                            or any(client.wrong for client in clients),
                            "the traffic goes on",
                        )
                        varnishd.adm("backend.list", "-p")
                        if generation == RELOADS // 2:
                            memory = memory_of(child)
                self.assertEqual([wrong for client in clients for wrong in client.wrong], [])
                self.assertLessEqual(memory_of(child), memory + 4 * 1024, "KB")
                self.check_last_generation(varnishd, old, clients)

                # The last denial ends, the origins are well again: nothing is refused any more.
                one.faults, two.faults = {}, {}
                report = wait.until(lambda: self.at_rest(varnishd), "all entries end")
                self.assertEqual(report["entries"], [])
                for number in [*range(FREQUENT), *range(FREQUENT, URLS, 10)]:
                    for headers in ({}, {"Alone": "yes"}):
                        answer = varnishd.request(f"/{number}", headers=headers)
                        self.assertEqual((answer.status, answer.headers["Why"]), (200, None), f"/{number} {headers}")
                counters = varnishd.counters()
                for name in ("sm1", "sm2", "alone"):
                    count = f"SAINTMODE.{old}.{name}."
                    self.assertEqual(counters[f"{count}live"], 0, name)
                    self.assertEqual(counters[f"{count}trips"], counters[f"{count}heals"], name)
                self.assertEqual(varnishd.child(), child)
                with self.assertRaisesRegex(RuntimeError, "has not panicked"):
                    varnishd.adm("panic.show")
                wait.until(lambda: re.findall(r"\S+$", varnishd.adm("vcl.list"), re.M) == [old], "old VCLs are gone")
                mine = {name.split(".")[1] for name in varnishd.counters() if name.startswith("SAINTMODE.")}
                self.assertEqual(mine, {old})

    def check_last_generation(self, varnishd: Varnishd, vcl: str, clients: list[Visitor]) -> None:
        """With nobody asking any more, the counters fit each other and what the clients were told."""
        counters = varnishd.counters()
        refusals = 0
        for name in ("sm1", "sm2", "alone"):
            count = {
                key.rpartition(".")[2]: value
                for key, value in counters.items()
                if key.startswith(f"SAINTMODE.{vcl}.{name}.")
            }
            refusals += sum(value for key, value in count.items() if key.startswith("refused_"))
            self.assertGreater(count["denied"], 0, name)
            self.assertGreaterEqual(count["denied"], count["live"], name)
            self.assertIn(count["trips"] - count["heals"], (0, 1), name)
            self.assertEqual(count["evicted"], 0, name)
            if name == "alone":
                self.assertGreater(count["trials"], 0)
        told = sum(client.refused.get(vcl.removeprefix("generation"), 0) for client in clients)
        self.assertGreater(told, 0, "nobody was refused")
        self.assertGreaterEqual(refusals, told)
        for name in ("VMOD_SAINTMODE.errors", "VMOD_SAINTMODE.panics", "MGT.child_panic", "MGT.child_died"):
            self.assertEqual(counters[name], 0, name)

    def at_rest(self, varnishd: Varnishd) -> dict | None:
        """The report once nothing is denied and no backend is sick."""
        report = json.loads(varnishd.request("/report").body)
        rests = all(one["live"] == 0 and not one["sick"] for one in report["objects"])
        return report if rests else None


class Agreement(unittest.TestCase):
    def test_is_healthy_says_on_both_sides_what_happens_to_the_fetch(self) -> None:
        chance = random.Random(1)
        seen = set()
        with Origin("one") as one, Origin("two") as two, Varnishd(ASKED.format(one=one.port, two=two.port)) as varnishd:
            admin = {name: "auto" for name in ("sm1", "sm2", "over", "alone", "deep", "one", "two")}
            past = []
            for _ in range(500):
                action = chance.random()
                page = f"/{chance.randrange(6)}"
                if action < 0.06:
                    name, state = chance.choice(list(admin)), chance.choice(("auto", "auto", "auto", "sick", "healthy"))
                    varnishd.adm("backend.set_health", f"boot.{name}", state)
                    admin[name] = state
                elif action < 0.10:
                    origin = chance.choice((one, two))
                    origin.faults = {f"/{n}": 500 for n in range(6)} if not origin.faults else {}
                elif action < 0.12:
                    varnishd.request(page, "CLEAR")
                elif action < 0.20:
                    varnishd.request(page, "PURGE")
                elif action < 0.21:
                    # The window of the failure rate.
                    time.sleep(1.1)
                headers = {"To": chance.choice(("sm1", "sm2", "over", "alone", "deep"))}
                headers |= chance.choice(({}, {}, {"Silent": "yes"}, {"Deny": "1h"}, {"Deny": "1ms"}))
                # What the operator says of one further in is all that the server tells of it, whatever its backend is.
                behind = {"over": ("sm1", "sm2"), "deep": ("alone",)}.get(headers["To"], ())
                if any(admin[name] == "healthy" for name in behind):
                    continue
                said = varnishd.request(page, headers=headers).headers["Said"]
                past.append(f"{page} {headers} {admin}: {said}")
                if said not in ("true true true", "false false false"):
                    # Something ended in between: once more, by then it has.
                    said = varnishd.request(page, headers=headers).headers["Said"]
                    past.append(f"again: {said}")
                self.assertIn(said, ("true true true", "false false false"), "\n".join(past[-20:]))
                seen.add((headers["To"], said))
            counters = varnishd.counters()
        self.assertEqual(len(seen), 10, seen)
        for name in ("refused_object", "refused_threshold", "refused_rate", "trials", "spared"):
            self.assertGreater(sum(value for key, value in counters.items() if key.endswith(f".{name}")), 0, name)
        self.assertEqual(counters["VMOD_SAINTMODE.errors"], 0)
        self.assertEqual(counters["VMOD_SAINTMODE.panics"], 0)


def memory_of(pid: int) -> int:
    """A process's own memory in KB. The log's segment is a file, which comes in as it is written."""
    return int(re.search(r"^RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1])
