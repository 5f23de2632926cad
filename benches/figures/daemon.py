# SPDX-License-Identifier: BSD-2-Clause
"""What varnishsentry costs beside varnishncsa: reading a saved log, and a running server's. No filter matches."""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from e2e import BUILD, wait
from e2e.varnishd import Varnishd

from . import Figure
from .sample import PARAMETERS
from .tools import Client, Sink, rounds, spread, threads_cpu

ROUNDS = 7
SAVED = 40_000
LIVE = 20_000

VCL = """vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_recv {{ return (hash); }}
sub vcl_backend_response {{ set beresp.ttl = 1d; }}
"""

# Ten fields, most of them of headers, as in the formats of large sites.
FORMAT = "%h %l %u %t %r %s %b %{Referer}i %{User-agent}i %{Varnish:hitmiss}x"
# Ten filters, and those that are built in.
FILTERS = [("VCL_Log", f"^\\\\[{word}\\\\]") for word in ("WTF", "ALERT", "SECURITY", "TODO")]
FILTERS += [("VCL_Log", "(?i)cannot|failed"), ("VCL_Log", "took [0-9]{4,} ms")]
FILTERS += [("ReqURL", "^/admin/"), ("RespHeader", "(?i)^x-error:"), ("RespStatus", "^4[0-9]1$"), ("Timestamp", "^Resp: \\\\S+ [0-9]{2,}")]


def configuration(folder: Path) -> Path:
    file = folder / "varnishsentry.toml"
    file.write_text("".join(f'[[filters.{tag}]]\nregexp = "{expression}"\n' for tag, expression in FILTERS))
    return file


def readers(config: Path) -> dict[str, list[str]]:
    return {
        "varnishsentry": [str(BUILD / "varnishsentry"), "--config", str(config), "--stdout"],
        "varnishncsa": ["varnishncsa", "-F", FORMAT],
    }


def read_saved(command: list[str], log: Path) -> float:
    """Seconds that the reader takes for the saved log: CPU time of all its threads, for it waits for nothing, and on a busy machine others would be in it."""
    reader = subprocess.Popen([*command, "-r", str(log)], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(reader.pid, 0)
    reader.returncode = os.waitstatus_to_exitcode(status)
    if reader.returncode:
        raise RuntimeError(f"{command[0]} ended with status {reader.returncode}")
    return usage.ru_utime + usage.ru_stime


def save(varnishd: Varnishd, client: Client, log: Path) -> None:
    """Has the log of some hits written to a file."""
    command = ["varnishlog", "-n", str(varnishd.folder / "work"), "-w", str(log), "-g", "raw"]
    saver = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait.until(log.exists, "varnishlog writes")
        client.ask(times=SAVED)
        wait.until(lambda: grown(log), "all is written")
    finally:
        saver.terminate()
        saver.wait()


def grown(log: Path) -> bool:
    before = log.stat().st_size
    time.sleep(1)
    return log.stat().st_size == before


def read_live(command: list[str], varnishd: Varnishd, client: Client) -> tuple[float, float]:
    """Microseconds of CPU that the reader takes for a hit while there is traffic, and MiB of memory of its own."""
    command = [*command, "-n", str(varnishd.folder / "work")]
    reader = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        # Until it reads.
        client.ask(times=2000)
        time.sleep(1)
        before = threads_cpu(reader.pid)
        client.ask(times=LIVE)
        time.sleep(1)
        used = threads_cpu(reader.pid) - before
        status = Path(f"/proc/{reader.pid}/status").read_text()
        anonymous = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))
        return used / 1e3 / LIVE, anonymous / 1024
    finally:
        reader.terminate()
        reader.wait()


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, Sink() as sink:
        folder = Path(name)
        commands = readers(configuration(folder))
        log = folder / "saved"
        with Varnishd(VCL.format(port=sink.port), parameters=PARAMETERS) as varnishd:
            client = Client(varnishd.port)
            client.ask(times=100)
            save(varnishd, client, log)
            live: dict[str, list[tuple[float, float]]] = {who: [] for who in commands}
            for _ in range(5):
                for who, command in commands.items():
                    live[who].append(read_live(command, varnishd, client))
        saved: dict[str, list[float]] = {who: [] for who in commands}
        for _ in range(rounds(ROUNDS)):
            for who, command in commands.items():
                saved[who].append(SAVED / read_saved(command, log) / 1000)
    ours, theirs = saved["varnishsentry"], saved["varnishncsa"]
    ours_live, theirs_live = (statistics.median(used for used, _ in live[who]) for who in commands)
    memory = max(memory for _, memory in live["varnishsentry"])
    return [
        Figure("varnishsentry, a saved log, ten filters and no match: thousand transactions a second", spread(ours), "≥ varnishncsa's", statistics.median(ours) >= statistics.median(theirs), {"saved log, thousand a second": ours}),
        Figure("… varnishncsa, a format of ten fields", spread(theirs), data={"saved log by varnishncsa, thousand a second": theirs}),
        Figure("varnishsentry beside a running server: CPU for a hit, µs", f"{ours_live:.1f}", "≤ varnishncsa's", ours_live <= theirs_live, {"CPU for a hit, µs": ours_live}),
        Figure("… varnishncsa", f"{theirs_live:.1f}", data={"CPU for a hit of varnishncsa, µs": theirs_live}),
        Figure("… memory of its own, MiB", f"{memory:.1f}", "≤ 64", memory <= 64, {"memory, MiB": memory}),
    ]
