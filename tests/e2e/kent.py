# SPDX-License-Identifier: BSD-2-Clause
"""Kent, from PyPI into build/: a tracker that shows what it has read of each item. Here it writes down what it was sent, too.

Behind a file it stumbles, once it has taken that, and of a file it shows nothing; so it is not Kent that answers envelopes.
"""

import base64
import gzip
import json
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from . import pypi, wait
from .bugsink import urlopen
from .receiver import KEY, PROJECT
from .varnishd import end

VERSION = "2.2.0"

# Kent itself, with somebody at the door who writes down each envelope as it came, and takes it whatever Kent says of it.
APPLICATION = """
import base64, io, json, sys
from kent.app import create_app
from werkzeug.serving import make_server

kent = create_app()


def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    if not environ["PATH_INFO"].endswith("/envelope/"):
        return kent(environ, start_response)
    b"".join(kent(environ, lambda status, headers, error=None: None))
    headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    with open(sys.argv[2], "a") as file:
        file.write(json.dumps([headers, base64.b64encode(body).decode()]) + "\\n")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b"{}"]


make_server("127.0.0.1", 0, application, threaded=True, fd=int(sys.argv[1])).serve_forever()
"""


class Kent:
    """Use as a context manager: inside the block, `dsn` takes envelopes."""

    def __enter__(self) -> "Kent":
        self.folder = Path(tempfile.mkdtemp(prefix="kent-"))
        # The socket listens from here on, and is inherited.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            self.dsn = f"http://{KEY}@127.0.0.1:{self.port}/{PROJECT}"
            command = [pypi.installed("kent", VERSION) / "python", "-c", APPLICATION, str(listener.fileno()), self.folder / "requests"]
            with (self.folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def requests(self) -> list[tuple[dict[str, str], bytes]]:
        """What came: the header lines by name in lower case, and the body, unpacked."""
        file = self.folder / "requests"
        found = []
        for line in file.read_text().splitlines(keepends=True) if file.exists() else []:
            # The last one may be half written.
            if line.endswith("\n"):
                headers, body = json.loads(line)
                packed = base64.b64decode(body)
                found.append((headers, gzip.decompress(packed) if headers.get("content-encoding") == "gzip" else packed))
        return found

    def items(self) -> list[tuple[dict[str, Any], Any]]:
        """Header and payload of each item but for files, as Kent has read them."""
        shown = [self._show(item["event_id"]) for item in self._get("eventlist/")["events"]]
        return [(payload["header"], payload["body"]) for payload in shown if payload]

    def _show(self, id: str) -> dict[str, Any] | None:
        try:
            return self._get(f"event/{id}")["payload"]
        except urllib.error.HTTPError as error:
            if error.code != 500:
                raise
            return None

    def _get(self, path: str) -> Any:
        with urlopen(f"http://127.0.0.1:{self.port}/api/{path}", timeout=60) as answer:
            return json.load(answer)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def wait_for(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        """The requests, once there are so many."""
        try:
            return wait.until(lambda: found if len(found := self.requests) >= count else None, f"{count} envelopes arrive")
        except TimeoutError as late:
            raise TimeoutError(f"{late}; Kent's log:\n{self.log()}") from None
