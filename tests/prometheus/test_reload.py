# SPDX-License-Identifier: BSD-2-Clause
"""A Prometheus that scrapes a real server while its VCL is reloaded: names, labels, series, rules and the dashboard."""

import json
import re
import socket
import tempfile
import unittest
from collections import Counter
from contextlib import ExitStack
from typing import Any

from e2e import ROOT, wait
from e2e.daemon import Daemon
from e2e.origin import Origin
from e2e.receiver import KEY, Receiver
from e2e.varnishd import Varnishd, folder_for_child

from . import CONTRIB
from .collector import Prometheus, exporter

# A client whose name ends as counters begin, and one with a dash; the other two names have one, too.
VCL = """
vcl 4.1;
import saintmode;
import sentry;
# {comment}
backend shop-origin {{ .host = "127.0.0.1"; .port = "{origin}"; }}
sub vcl_init {{
    sentry.init("{dsn}", name = "edge-1", throttle = 2);
    new the_spool = sentry.client("http://{key}@127.0.0.1:{nobody}/2", throttle = 0);
    the_spool.queue(events = 500);
    the_spool.spool("{folder}", bytes = 2MB);
    new t-1 = sentry.tunnel("{dsn}");
    new sm-1 = saintmode.saintmode(shop-origin, 2, on = "5xx", ttl = 1h);
    new other = saintmode.saintmode(shop-origin, 0);
}}
sub vcl_recv {{
    if (req.url == "/tunnel") {{ return (synth(t-1.accept())); }}
    return (pass);
}}
sub vcl_backend_fetch {{ set bereq.backend = sm-1.backend(); }}
sub vcl_backend_response {{
    saintmode.observe();
    if (beresp.status >= 500) {{
        sentry.capture("origin answered {{1}}", p1 = beresp.status);
        the_spool.capture("origin answered {{1}}", p1 = beresp.status);
    }}
}}
"""
DAEMON = """
dsn = "{dsn}"
[spool]
folder = "{folder}"
"""
CLIENTS = {"edge_1", "the_spool", "t_1"}
REPORT = """{{"dsn":"{dsn}"}}
{{"type":"event"}}
{{"message":"in a browser"}}
"""


def counters(file: str) -> list[str]:
    """The names in a .vsc file."""
    return re.findall(r"^\.\. varnish_vsc:: (\w+)", (ROOT / file).read_text(), re.MULTILINE)


def expected(name: str, gauges: set[str]) -> tuple[str, str]:
    """What a counter is called behind `varnish_sentry_` or `varnish_saintmode_`, and its reason or status."""
    kind, _, which = name.partition("_")
    if kind in ("dropped", "refused", "answers"):
        return f"{kind}_total", which
    return name if name in gauges else f"{name}_total", ""


def tunnels(name: str, gauges: set[str]) -> tuple[str, str]:
    """The same of a tunnel's, behind `varnish_sentry_tunnel_`: *dropped* is one of them, without a reason."""
    return expected(name, gauges) if name.startswith("refused_") else (name if name in gauges else f"{name}_total", "")


def gauges(file: str) -> set[str]:
    """The names of those that may fall."""
    found = re.findall(r"^\.\. varnish_vsc:: (\w+)\n\t:type:\tgauge", (ROOT / file).read_text(), re.MULTILINE)
    return set(found)


class Reload(unittest.TestCase):
    """One scene for all tests: failures, a reload, failures again."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = ExitStack()
        cls.addClassCleanup(cls.stack.close)
        origin = cls.stack.enter_context(Origin("shop"))
        receiver = cls.stack.enter_context(Receiver())
        folder = cls.stack.enter_context(folder_for_child())
        spool = cls.stack.enter_context(tempfile.TemporaryDirectory(prefix="spool-"))
        # Bound and not listened at: whoever connects is refused.
        nobody = cls.stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        known = {"origin": origin.port, "dsn": receiver.dsn, "key": KEY, "nobody": nobody.getsockname()[1], "folder": folder}
        cls.varnishd = cls.stack.enter_context(Varnishd(VCL.format(comment="one", **known)))
        program = cls.stack.enter_context(exporter(cls.varnishd))
        cls.daemon = cls.stack.enter_context(Daemon(cls.varnishd, DAEMON.format(dsn=receiver.dsn, folder=spool)))
        cls.prometheus = cls.stack.enter_context(Prometheus(program.port, cls.daemon.address()))
        wait.until(lambda: cls.prometheus.value("count(varnish_sentry_captured_total == 0)") == 3, "all clients are seen")
        cls.fails(origin, "/a", 1)
        cls.varnishd.request("/tunnel", "POST", body=REPORT.format(dsn=receiver.dsn))
        cls.varnishd.request("/tunnel", "POST", body=REPORT.format(dsn="https://unknown@sentry.example.com/9"))
        cls.varnishd.use_vcl(VCL.format(comment="two", **known), "shop-2")
        for number, path in enumerate(("/b", "/c", "/d", "/e"), 2):
            cls.fails(origin, path, number)
        wait.until(lambda: cls.prometheus.value("sum(varnish_sentry_spool_events)") > 0, "the spool is seen")
        wait.until(lambda: cls.prometheus.value("sum(varnish_saintmode_refused_total)") > 0, "a refusal is seen")
        wait.until(lambda: cls.prometheus.value("sum(varnishsentry_found_total)") > 0, "what the daemon found is seen")

    @classmethod
    def fails(cls, origin: Origin, path: str, number: int) -> None:
        """One more object that fails, and has been scraped, so that rates see it move; with two the backend is sick in a VCL."""
        origin.faults[path] = 503
        cls.varnishd.request(path)
        cls.varnishd.request(path)
        calls = 'sum({__name__=~"varnish_sentry_(captured|refused)_total",client!="t_1"})'
        wait.until(lambda: cls.prometheus.value(calls) == 2 * min(number, 3), f"failure {number} is seen")

    def test_each_counter_of_each_client_is_a_series_of_its_own(self) -> None:
        names, falling = counters("sentry.vsc"), gauges("sentry.vsc")
        known = Counter(expected(name, falling) for name in names)
        found: dict[str, Counter[tuple[str, str]]] = {}
        for labels, _ in self.prometheus.query('{client!="",__name__!~"ALERTS.*"}'):
            own = labels.pop("__name__").removeprefix("varnish_sentry_"), labels.get("reason", labels.get("status", ""))
            found.setdefault(labels["client"], Counter())[own] += 1
            self.assertEqual(labels.keys() - {"reason", "status"}, {"client", "instance", "job"})
        self.assertEqual(found, dict.fromkeys(CLIENTS, known))

    def test_each_counter_of_each_object_is_a_series_of_its_own(self) -> None:
        names, falling = counters("saintmode/saintmode.vsc"), gauges("saintmode/saintmode.vsc")
        known = Counter(expected(name, falling) for name in names)
        found: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
        for labels, _ in self.prometheus.query('{object!="",__name__!~"ALERTS.*"}'):
            own = labels.pop("__name__").removeprefix("varnish_saintmode_"), labels.get("reason", "")
            found.setdefault((labels["vcl"], labels["object"]), Counter())[own] += 1
            self.assertEqual(labels.keys() - {"reason"}, {"vcl", "object", "instance", "job"})
        objects = [(vcl, name) for vcl in ("boot", "shop_2") for name in ("sm_1", "other")]
        self.assertEqual(found, dict.fromkeys(objects, known))

    def test_each_counter_of_a_tunnel_is_a_series_of_its_own(self) -> None:
        names, falling = counters("sentry_tunnel.vsc"), gauges("sentry_tunnel.vsc")
        known = Counter(tunnels(name, falling) for name in names)
        found: Counter[tuple[str, str]] = Counter()
        for labels, _ in self.prometheus.query('{tunnel!="",__name__!~"ALERTS.*"}'):
            found[labels.pop("__name__").removeprefix("varnish_sentry_tunnel_"), labels.get("reason", "")] += 1
            self.assertEqual(labels.keys() - {"reason"}, {"tunnel", "instance", "job"})
        self.assertEqual(found, known)
        for name in ("accepted_total", "processed_total", 'refused_total{reason="unknown_key"}', "dsns"):
            self.assertEqual(self.prometheus.value(f"varnish_sentry_tunnel_{name}"), 1, name)

    def test_no_counter_of_the_modules_keeps_the_exporters_name(self) -> None:
        left = self.prometheus.query('{__name__=~"varnish_main_(vmod_)?(sentry|saintmode)_.*"}')
        self.assertEqual([labels["__name__"] for labels, _ in left], [])
        for module, file in (("sentry", "vmod_sentry.vsc"), ("saintmode", "saintmode/vmod_saintmode.vsc")):
            for name in counters(file):
                self.assertEqual(self.prometheus.value(f"varnish_vmod_{module}_{name}_total"), 0)

    def test_the_series_of_a_client_goes_on_over_a_reload(self) -> None:
        captured = 'varnish_sentry_captured_total{client="the_spool"}'
        ever = self.prometheus.ask("series", **{"match[]": captured})
        self.assertEqual(len(ever), 1, ever)
        self.assertEqual(self.prometheus.value(f"resets({captured}[10m])"), 0)
        # One failure before the reload, and two after it until the object was sick as a whole.
        self.assertEqual(self.prometheus.value(captured), 3)
        self.assertEqual(self.prometheus.value(f"min_over_time({captured}[10m])"), 0)
        # The samples have no gap: scraped once a second, none is away from the one before for long.
        moments = self.samples(captured)
        self.assertGreater(len(moments), 2)
        self.assertLess(max(later - earlier for earlier, later in zip(moments, moments[1:])), 30)

    def test_bounds_are_those_of_the_vcl(self) -> None:
        for client, events, bytes_, spool in (("the_spool", 500, 16 << 20, 2 << 20), ("edge_1", 1000, 16 << 20, 0)):
            with self.subTest(client):
                known = {"queue_max_events": events, "queue_max_bytes": bytes_, "spool_max_bytes": spool}
                found = {name: self.prometheus.value(f'varnish_sentry_{name}{{client="{client}"}}') for name in known}
                self.assertEqual(found, known)

    def test_the_daemon_is_scraped_with_the_names_of_its_page(self) -> None:
        names = set(re.findall(r"^# TYPE (\w+) ", self.daemon.get("/metrics")[1], re.MULTILINE))
        found = {labels["__name__"] for labels, _ in self.prometheus.query('{job="varnishsentry",__name__=~"varnishsentry_.*"}')}
        self.assertEqual(found, names)
        self.assertEqual(self.prometheus.value('varnishsentry_ready{worker="default"}'), 1)
        self.assertEqual(self.prometheus.value("varnishsentry_events_waiting_max"), 1000)
        self.assertEqual(self.prometheus.value("sum(varnishsentry_lost_total)"), 0)

    def test_the_series_of_an_object_is_the_sum_of_its_vcls(self) -> None:
        denied = 'sum without (vcl) (varnish_saintmode_denied_total{object="sm_1"})'
        self.assertEqual(self.prometheus.value(denied), 3)
        self.assertEqual(self.prometheus.value('sum(varnish_saintmode_denied_total{object="sm_1",vcl="boot"})'), 1)
        self.assertEqual(self.prometheus.value('sum(varnish_saintmode_live{object="sm_1",vcl="shop_2"})'), 2)

    def test_the_rules_evaluate_and_see_the_sick_backend(self) -> None:
        groups = wait.until(lambda: self.prometheus.ask("rules"), "the rules are there")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertTrue(rules)
        wait.until(lambda: self.health() == {"ok"}, "all rules are evaluated")
        sick = 'ALERTS{alertname="SaintmodeSick"}'
        found = wait.until(lambda: self.prometheus.query(sick), "the alert fires")
        self.assertEqual({(labels["vcl"], labels["object"]) for labels, _ in found}, {("shop_2", "sm_1")})

    def test_each_query_of_the_dashboard_has_an_answer(self) -> None:
        board = json.loads((CONTRIB / "dashboard.json").read_text())
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        self.assertEqual(len({panel["id"] for panel in board["panels"]}), len(board["panels"]))
        for panel in panels:
            for target in panel["targets"]:
                with self.subTest(panel=panel["title"], query=target["refId"]):
                    self.assertTrue(self.numbers(target["expr"]), target["expr"])
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
                self.assertTrue(self.prometheus.ask(f"label/{label}/values", **{"match[]": metric}), variable["name"])

    def numbers(self, expression: str) -> list[float]:
        """What a query of the dashboard gives, with all that a user can choose left open."""
        expression = re.sub(r"\$(instance|client|tunnel|object|worker)\b", ".*", expression)
        expression = expression.replace("$__rate_interval", "1m").replace("$__range", "5m")
        self.assertNotIn("$", expression)
        found = [value for _, value in self.prometheus.query(expression)]
        return [value for value in found if value == value]

    def samples(self, selector: str) -> list[float]:
        """When a series was scraped."""
        (series,) = self.prometheus.ask("query", query=f"{selector}[10m]")["result"]
        return [moment for moment, _ in series["values"]]

    def health(self) -> set[Any]:
        groups = self.prometheus.ask("rules")["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}
