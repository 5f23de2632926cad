# SPDX-License-Identifier: BSD-2-Clause
"""A real prometheus-varnish-exporter, and a real Prometheus that scrapes it, each on a free port of the loopback."""

import json
import re
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2e import wait
from e2e.varnishd import Varnishd, end

from . import CONTRIB

LISTENING = "0A"
# The targets in scrape_configs.yml.
EXPORTER, DAEMON = "localhost:9131", "localhost:9749"


class Program:
    """Use as a context manager: a program that listens inside the block, and the port that the system gave it."""

    def __init__(self, command: Sequence[str | Path]):
        self.command = [str(word) for word in command]

    def __enter__(self) -> "Program":
        self._folder = tempfile.TemporaryDirectory(prefix="program-")
        self._logfile = Path(self._folder.name) / "log"
        with self._logfile.open("wb") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self.port = wait.until(self._port, f"{self.command[0]} listens")
        except BaseException as problem:
            self.__exit__()
            raise RuntimeError(f"{problem}:\n{self.log}") from None
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)
        self.log = self._logfile.read_text(errors="replace")
        self._folder.cleanup()

    def _port(self) -> int:
        """Where it listens: neither program tells which port it got for 0."""
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended with status {self._process.returncode}")
        descriptors = Path(f"/proc/{self._process.pid}/fd")
        targets = [descriptor.readlink() for descriptor in descriptors.iterdir() if descriptor.is_symlink()]
        sockets = {match[1] for target in targets if (match := re.fullmatch(r"socket:\[(\d+)\]", str(target)))}
        for line in Path(f"/proc/{self._process.pid}/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING and words[9] in sockets:
                return int(words[1].partition(":")[2], 16)
        return 0


def exporter(varnishd: Varnishd) -> Program:
    """An exporter of this server's counters."""
    work = varnishd.folder / "work"
    return Program(["prometheus-varnish-exporter", "-n", work, "-web.listen-address", "127.0.0.1:0"])


class Prometheus:
    """Use as a context manager: a Prometheus with the files of contrib/prometheus, which scrapes each second."""

    def __init__(self, exporter_port: int, daemon: str):
        self.targets = {EXPORTER: f"127.0.0.1:{exporter_port}", DAEMON: daemon}

    def __enter__(self) -> "Prometheus":
        self._folder = tempfile.TemporaryDirectory(prefix="prometheus-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        config = folder / "prometheus.yml"
        config.write_text(configuration(self.targets, 1))
        self._program = Program([
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0", "--log.level=warn",
        ])  # fmt: skip
        try:
            self._program.__enter__()
        except BaseException:
            self._folder.cleanup()
            raise
        self.url = f"http://127.0.0.1:{self._program.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._program.__exit__()
        self._folder.cleanup()

    @property
    def log(self) -> str:
        """What it complained of; once it has ended."""
        return self._program.log

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API; None while it starts."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            problem = refused.read().decode(errors="replace")
            if refused.code == 503:
                return None
            raise RuntimeError(f"{path} {parameters}: {problem}") from None

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What an expression gives now: labels and values."""
        data = self.ask("query", query=expression) or {"result": []}
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    def value(self, expression: str) -> float:
        """The one value of an expression; -1 while there is none."""
        samples = self.query(expression)
        if len(samples) > 1:
            raise RuntimeError(f"{expression}: {len(samples)} series")
        return samples[0][1] if samples else -1


def configuration(targets: dict[str, str], seconds: int) -> str:
    """A prometheus.yml with the jobs and the rules of contrib/prometheus, for other targets than those in it."""
    jobs = (CONTRIB / "scrape_configs.yml").read_text()
    for known, target in targets.items():
        if jobs.count(f'"{known}"') != 1:
            raise RuntimeError(f"scrape_configs.yml has no single {known}")
        jobs = jobs.replace(known, target)
    every = f"global:\n  scrape_interval: {seconds}s\n  evaluation_interval: {seconds}s\n"
    return f'{every}rule_files: ["{CONTRIB / "rules.yml"}"]\n{jobs}'
