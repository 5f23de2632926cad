# SPDX-License-Identifier: BSD-2-Clause
"""Shows both modules and the daemon at work: `make demo`, or `make demo BUGSINK=1` with a real server and its web page.

A real varnishd with demo.vcl stands before two origins. Each step breaks something, shows what the client
saw of it and which events arrived. The exit status is 0 only if all that was expected did arrive.
"""

import argparse
import datetime
import json
import re
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
sys.dont_write_bytecode = True

from e2e import bugsink  # noqa: E402
from e2e.daemon import Daemon  # noqa: E402
from e2e.origin import Origin  # noqa: E402
from e2e.receiver import Receiver  # noqa: E402
from e2e.varnishd import Answer, Varnishd  # noqa: E402

WIDTH = 80
# Of what happened before an event, the end.
CRUMBS = 12
# The VCL of those who cannot or will not change theirs.
PLAIN = 'vcl 4.1; backend default {{ .host = "127.0.0.1"; .port = "{port}"; }}'
COLOURS = {"bold": "1", "faint": "2", "fatal": "1;31", "error": "31", "warning": "33", "info": "36", "debug": "2"}
Event = dict[str, Any]


def paint(text: str, colour: str) -> str:
    return f"\033[{COLOURS[colour]}m{text}\033[0m" if sys.stdout.isatty() else text


def say(text: str = "") -> None:
    print(text, flush=True)


def field(label: str, text: str) -> None:
    """One labelled line of an event, or several where it is long."""
    for line in textwrap.wrap(text, WIDTH - 15, break_on_hyphens=False) or [""]:
        say(f"   {paint('|', 'faint')} {label:<9} {line}")
        label = ""


def title(event: Event) -> str:
    if exception := event.get("exception"):
        values = exception["values"] if isinstance(exception, dict) else exception
        return f"{values[-1]['type']}: {values[-1]['value']}"
    message = event.get("logentry", {})
    return message.get("formatted") or message.get("message", "")


def pairs(values: dict[str, Any]) -> str:
    """Names and values in one line; a value with a space in it is not torn apart by a line break."""
    return "  ".join(f"{name}={value}".replace(" ", "\u00a0") for name, value in values.items())


def show(event: Event, page: str = "") -> None:
    """Prints one event as a block of lines."""
    level = event.get("level", "error")
    heading = textwrap.shorten(f"{level.upper()} {title(event)}", WIDTH - 5)
    say(f"   {paint('+ ' + heading, level)}")
    when = event["timestamp"]
    if not isinstance(when, str):
        when = datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
    field("when", when)
    field("id", event["event_id"])
    if template := event.get("logentry", {}).get("params") and event["logentry"].get("message"):
        field("grouped", template)
    if request := event.get("request"):
        query = request.get("query_string")
        field("request", f"{request.get('method')} {request.get('url')}{'?' + query if query else ''}")
        if headers := request.get("headers"):
            field("headers", pairs(dict(headers)))
    contexts = event.get("contexts", {})
    for name in ("response", "varnish"):
        if context := contexts.get(name):
            plain = {k: v for k, v in context.items() if not isinstance(v, (dict, list)) and k != "type"}
            field(name, pairs(plain))
    if tags := event.get("tags"):
        field("tags", pairs(dict(tags)))
    if user := event.get("user"):
        field("user", pairs(user))
    # What sentry.watch() found in the log.
    for match in (event.get("extra") or {}).get("matched", []):
        field("matched", match)
    crumbs = event.get("breadcrumbs") or []
    crumbs = crumbs["values"] if isinstance(crumbs, dict) else crumbs
    if len(crumbs) > CRUMBS:
        field("before", f"... {len(crumbs) - CRUMBS} more")
    for crumb in crumbs[-CRUMBS:]:
        field("before", f"{crumb.get('level', 'info')}: {crumb.get('message')} ({crumb.get('category')})")
    if page:
        say(f"   {paint('|', 'faint')} {page}")
    say()


class Demo:
    """The steps, and what they need: the server, its origins, and who takes the events."""

    def __init__(self, server: Varnishd, first: Origin, second: Origin, sink: Receiver | bugsink.Bugsink):
        self.server, self.first, self.second, self.sink = server, first, second, sink
        self.shown = 0
        self.steps = 0
        self.wrong: list[str] = []

    def step(self, caption: str) -> None:
        self.steps += 1
        for line in textwrap.wrap(f"{self.steps}. {caption}", WIDTH, subsequent_indent="   "):
            say(paint(line, "bold"))
        say()

    def get(self, url: str, status: int, served_by: str = "", headers: dict[str, str] | None = None) -> Answer:
        """Makes one request and says what the client sees."""
        answer = self.server.request(url, headers=headers)
        by = answer.headers.get("X-Served-By", "")
        cache = answer.headers.get("X-Cache")
        event_id = answer.headers.get("X-Event-Id")
        seen = f"GET {url}  ->  {answer.status}"
        seen += f" by the {by} origin" if by else ""
        seen += f", {cache}" if cache else ""
        say(f"   client: {seen}")
        if event_id:
            say(f"           X-Event-Id: {event_id}")
        self.expect(answer.status == status, f"{url} answered {answer.status}, expected {status}")
        self.expect(by == served_by, f"{url} was served by {by or 'nobody'}, expected {served_by or 'nobody'}")
        return answer

    def events(self, count: int) -> None:
        """Shows the next `count` events once they have arrived."""
        say()
        try:
            arrived = self.sink.wait_for(self.shown + count, 30)
        except TimeoutError as late:
            self.expect(False, str(late))
            arrived = list(self.sink.events)
        for event in arrived[self.shown :]:
            show(event, self.sink.pages[event["event_id"]] if isinstance(self.sink, bugsink.Bugsink) else "")
        self.shown = len(arrived)

    def no_event(self) -> None:
        say("           nothing to report\n")

    def expect(self, true: bool, otherwise: str) -> None:
        if not true:
            self.wrong.append(f"step {self.steps}: {otherwise}")
            say(paint(f"   WRONG: {otherwise}", "error"))

    def status(self, module: str) -> Answer:
        """Shows what a module says of itself."""
        answer = self.server.request(f"/status/{module}")
        say(f"   {module}.status():")
        pretty = json.dumps(json.loads(answer.body), indent=1)
        # An object without others in it reads better on one line.
        pretty = re.sub(r"\{\s+([^{}\[\]]*?)\s+\}", lambda m: "{" + re.sub(r"\s+", " ", m[1]) + "}", pretty)
        for line in pretty.splitlines():
            indent = " " * (len(line) - len(line.lstrip()) + 3)
            say(textwrap.fill(line.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent + "  "))
        say()
        return answer

    def saintmode(self) -> None:
        """Shows what saintmode knows: each backend's state, and what is denied there, for how long and why."""
        report = json.loads(self.server.request("/status/saintmode").body)
        say("   saintmode.report():")
        for one in report["objects"]:
            level = "error" if one["sick"] else "info"
            say(f"   {one['name']:<10} {paint(one['state'], level)}, {one['live']} denied, threshold {one['threshold']}")
            for entry in (entry for entry in report["entries"] if entry["object"] == one["name"]):
                name, left, hits = entry.get("name", entry["key"]), round(entry["ttl"]), entry["hits"]
                say(f"     {name:<20} {entry['reason']:<8} {left} s left, refused: {hits}")
        say()

    def run(self) -> None:
        first, second = self.first, self.second
        self.step("All is well.")
        self.get("/", 200, "first")
        self.no_event()
        self.saintmode()

        self.step("The first origin answers 500 for /cart. The client sees the second one's 200.")
        first.faults["/cart"] = 500
        self.get("/cart", 200, "second")
        self.events(1)

        self.step("/cart is now on the first origin's denylist: it is not even asked.")
        before = len(first.requests)
        self.get("/cart", 200, "second")
        self.expect(len(first.requests) == before, "the first origin was asked again")
        self.no_event()

        self.step("The first origin takes the request for /slow and never answers.")
        first.faults["/slow"] = "hang"
        self.get("/slow", 200, "second")
        self.events(1)

        self.step("The first origin resets the connection of /reset.")
        first.faults["/reset"] = "reset"
        self.get("/reset", 200, "second")
        self.events(1)
        self.saintmode()

        self.step("Both origins fail for /news, but an expired copy is in the cache: the client gets that.")
        first.cache_control["/news"] = "max-age=1"
        self.get("/news", 200, "first")
        first.faults["/news"] = second.faults["/news"] = 503
        # The copy has to grow older than its max-age.
        time.sleep(1.1)
        stale = self.get("/news", 200, "first")
        self.expect(stale.headers.get("X-Cache") == "stale", "the answer was not the stale copy")
        self.events(2)

        self.step("VCL refuses a request. Its event has the user and the way that led there; secrets are filtered.")
        secret = {"Authorization": "Bearer hunter2", "Cookie": "session=hunter2", "X-Customer": "1138"}
        self.get("/admin/orders?page=2&token=hunter2", 403, headers=secret)
        self.events(1)
        told = json.dumps(list(self.sink.events)[-1])
        self.expect("hunter2" not in told, "a secret is in the event")

        self.step("A fifth object fails at the first origin: now it is left alone as a whole, which is an event of its own.")
        first.faults["/item"] = 500
        self.get("/item", 200, "second")
        self.events(2)
        before = len(first.requests)
        self.get("/never/seen/before", 200, "second")
        self.expect(len(first.requests) == before, "the first origin was asked although it is sick")
        self.no_event()
        self.saintmode()

        self.step("A release breaks a button, and 200 browsers say so. Each gets its answer; ten of them go on to Sentry.")
        self.flood(200, 10)

        self.step("The same refusal 40 times over: a few events pass in a minute, the rest is counted.")
        for _ in range(40):
            self.server.request("/admin/orders")
        answer = self.status("sentry")
        self.expect(answer.headers["X-Flushed"] == "true", "the queue was not empty after ten seconds")
        passed = len(self.sink.events) - self.shown
        say(f"   40 refusals, {passed} events; the other answers had no event id.\n")
        self.expect(0 < passed <= 10, f"{passed} events passed the throttle")

    def daemon(self) -> None:
        """Shows the daemon beside a server that knows nothing of it."""
        self.first.faults["/checkout"] = 500
        with Varnishd(PLAIN.format(port=self.first.port)) as server, Daemon(server, f'dsn = "{self.sink.dsn}"') as daemon:
            self.step("Another varnishd, whose VCL has never heard of Sentry. varnishsentry reads its log, and knows one thing, the DSN.")
            self.shown = len(self.sink.events)
            answer = server.request("/checkout?token=hunter2", headers={"Cookie": "session=hunter2"})
            say(f"   client: GET /checkout  ->  {answer.status}")
            self.events(1)
            told = json.dumps(list(self.sink.events)[-1])
            self.expect("hunter2" not in told, "a secret is in the event")
            self.step("Its child panics: one issue for each text, wherever it happens.")
            server.panic()
            say("   varnishadm debug.panic.worker")
            self.events(1)
            for line in daemon.command("status").stdout.splitlines():
                say(f"   {line}" if len(line) <= WIDTH - 3 else f"   {line[: WIDTH - 9]} [...]")
            say()

    def flood(self, reports: int, passing: int) -> None:
        """Has as many browsers report one error, each in an envelope as their SDK writes it."""
        path = self.server.request("/status/browsers").headers["X-Path"]
        frame = {"function": "pay", "filename": "https://shop.example/app.js", "lineno": 7, "in_app": True}
        thrown = {"type": "TypeError", "value": "cart is undefined", "stacktrace": {"frames": [frame]}}
        results: dict[str, int] = {}
        for number in range(reports):
            now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
            event = {"event_id": f"{number + 1:032x}", "timestamp": now, "platform": "javascript", "release": "shop-2.4.1"}
            event |= {"exception": {"values": [thrown]}, "request": {"method": "GET", "url": "https://shop.example/cart"}}
            header = {"event_id": event["event_id"], "sent_at": now, "dsn": self.sink.dsn}
            lines = [header, {"type": "event"}, event]
            answer = self.server.request(path, "POST", body="\n".join(map(json.dumps, lines)))
            self.expect(answer.status == 200, f"a browser was answered {answer.status}")
            result = answer.headers.get("X-Result", "")
            results[result] = results.get(result, 0) + 1
        answer = self.server.request("/status/browsers")
        self.expect(answer.headers["X-Flushed"] == "true", "the queue was not empty after ten seconds")
        say(f"   browsers: POST {path}  ->  200, {reports} times")
        say("   X-Result: " + ", ".join(f"{result} {count}" for result, count in sorted(results.items())))
        counted = json.loads(answer.body)
        say(f"   count(): accepted {counted['accepted']}, processed {counted['processed']}, ignored {counted['ignored']}")
        arrived = self.sink.wait_for(self.shown + passing, 30)[self.shown :]
        say(f"   {len(arrived)} events as this one:\n")
        show(arrived[0], self.sink.pages[arrived[0]["event_id"]] if isinstance(self.sink, bugsink.Bugsink) else "")
        self.shown += len(arrived)
        self.expect(results == {"processed": passing, "throttled": reports - passing}, f"what became of them: {results}")
        self.expect(len(arrived) == passing, f"{len(arrived)} events passed the throttle")

    def finish(self) -> int:
        """The exit status of the demo."""
        for wrong in self.wrong:
            say(paint(wrong, "error"))
        if isinstance(self.sink, Receiver):
            self.wrong += self.sink.complaints
        return 1 if self.wrong else 0


def vcl(first: Origin, second: Origin) -> str:
    """demo.vcl with the ports that our origins got."""
    text = (HERE / "demo.vcl").read_text()
    for written, origin in (("8081", first), ("8082", second)):
        text = text.replace(f'.port = "{written}"', f'.port = "{origin.port}"')
    return text


def interrupted(*_: object) -> None:
    """Ends the demo with all it has started; a second Ctrl-C does not disturb that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def stay(sink: bugsink.Bugsink) -> None:
    """Leaves Bugsink running until Ctrl-C."""
    say(f"The events are in Bugsink:  {paint(sink.url, 'bold')}")
    say(f"Log in as {bugsink.USER} with the password {bugsink.PASSWORD}. Ctrl-C ends it all.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        say("\nended")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bugsink", action="store_true", help="send to a real Bugsink and stay until Ctrl-C")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    try:
        if arguments.bugsink:
            say("Starting Bugsink (the first time it is installed into build/bugsink-venv: a minute) ...\n")
        with (
            Origin("first") as first,
            Origin("second") as second,
            (bugsink.Bugsink() if arguments.bugsink else Receiver()) as sink,
            Varnishd(vcl(first, second), environment={"SENTRY_DSN": sink.dsn}) as server,
        ):
            demo = Demo(server, first, second, sink)
            demo.run()
            demo.daemon()
            status = demo.finish()
            if isinstance(sink, bugsink.Bugsink):
                stay(sink)
            return status
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
