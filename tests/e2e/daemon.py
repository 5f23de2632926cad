# SPDX-License-Identifier: BSD-2-Clause
"""The daemon varnishsentry, beside a varnishd."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from . import BUILD, wait
from .varnishd import Varnishd, end

PROGRAM = BUILD / "varnishsentry"


class Daemon:
    """Use as a context manager: it reads the log of `varnishd` inside the block.

    `config` is what the operator says, beside where this one's files are.
    """

    def __init__(self, varnishd: Varnishd, config: str = "", environment: dict[str, str] | None = None):
        self.varnishd = varnishd
        self.config = config
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")}
        self.environment = clean | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Daemon":
        self.folder = Path(tempfile.mkdtemp(prefix="varnishsentry-"))
        self.file = self.folder / "varnishsentry.toml"
        self.configure(self.config)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            end(self._process)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, config: str) -> None:
        """Writes the configuration; a running daemon takes it over at `reload()`."""
        own = f'state_dir = "{self.folder}"\ninstance = "{self.varnishd.folder / "work"}"\n'
        status = f'[status]\nsocket = "{self.folder}/status.sock"\nlisten = "127.0.0.1:0"\n'
        self.file.write_text(f"{own}{config}\n{status}")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of the program's, with this configuration."""
        return subprocess.run(
            [PROGRAM, *words, "--config", str(self.file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            timeout=120,
        )

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "--config", str(self.file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        wait.until(self._reads, "varnishsentry reads the log")

    def _reads(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise RuntimeError(f"varnishsentry ended with status {self._process.returncode}:\n{self.log()}")
        return bool(self.address()) and self.status()["workers"][0]["reading"]

    def stop(self) -> int:
        """Ends it as a service manager does; its exit status."""
        assert self._process
        self._process.terminate()
        return self._process.wait(60)

    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def memory(self) -> int:
        """How many bytes it has of its own: not the log's, which it maps."""
        assert self._process
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)[0]) << 10

    def reload(self) -> None:
        """Has the configuration read anew, and waits for what it says of that."""
        assert self._process
        before = self.log().count("the configuration ")
        self._process.send_signal(signal.SIGHUP)
        wait.until(lambda: self.log().count("the configuration ") > before, "the configuration is read anew")

    def log(self) -> str:
        """Everything it has said."""
        return (self.folder / "log").read_text(errors="replace")

    def address(self) -> str:
        """Where its HTTP listens; empty before it does."""
        found = re.findall(r"status at http://(\S+)", self.log())
        return found[-1] if found else ""

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of its HTTP."""
        connection = http.client.HTTPConnection(self.address(), timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        return json.loads(self.get("/status")[1])

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        samples = re.findall(rf"^varnishsentry_{name}(?:{{[^}}]*}})? (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return sum(float(sample) for sample in samples)
