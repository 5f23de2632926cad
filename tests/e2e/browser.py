# SPDX-License-Identifier: BSD-2-Clause
"""A headless Chromium, driven by the DevTools protocol over a pair of pipes."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import varnishd, wait

# No connections of its own, nothing to ask a user, and what a container has no room for left out.
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe""".split()
SECONDS = 60


def program() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise RuntimeError("there is no Chromium; `make deps` installs it")


# Puts two descriptors where Chromium looks for them; a shell need not take numbers of two digits.
LAUNCH = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 10) for number in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """Use as a context manager: a Chromium with one page.

    `problems` are what the page has complained of: exceptions, and all that goes to the console as an error,
    such as what a Content-Security-Policy has blocked.
    """

    def __enter__(self) -> "Browser":
        self.problems: list[str] = []
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        self._number = 0
        self._received = b""
        # Chromium reads commands from descriptor 3 and writes to 4.
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        launch = [sys.executable, "-c", LAUNCH, str(read_commands), str(write_answers)]
        self._process = subprocess.Popen(
            [*launch, program(), *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            pass_fds=(read_commands, write_answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_commands)
        os.close(write_answers)
        self._session = ""
        targets = wait.until(lambda: self._pages(), "Chromium has a page")
        self._session = self._command("Target.attachToTarget", targetId=targets[0], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._command(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        varnishd.end(self._process, 5)
        os.close(self._commands)
        os.close(self._answers)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _pages(self) -> list[str]:
        targets = self._command("Target.getTargets")["targetInfos"]
        return [target["targetId"] for target in targets if target["type"] == "page"]

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
        raise TimeoutError(f"{method}: no answer within {SECONDS} seconds")

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            more = os.read(self._answers, 65536)
            if not more:
                raise RuntimeError("Chromium has ended")
            self._received += more
        line, _, self._received = self._received.partition(b"\0")
        message = json.loads(line)
        self._watch(message.get("method"), message.get("params", {}))
        return message

    def _watch(self, event: str | None, what: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(what["exceptionDetails"]))
        elif event == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.problems.append(what["entry"]["text"])
        elif event == "Runtime.consoleAPICalled" and what["type"] == "error":
            self.problems.append(json.dumps(what["args"]))

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """Makes the window so large, in CSS pixels, for a user who likes it dark or light."""
        self._command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self._command("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives; None while the page has no answer yet."""
        found = self._command("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def screenshot(self, file: Path) -> None:
        """Writes a PNG of the window."""
        shot = self._command("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        file.write_bytes(base64.b64decode(shot["data"]))
