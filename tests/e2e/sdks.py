# SPDX-License-Identifier: BSD-2-Clause
"""Sentry's own SDKs: the browser's, from npm into one script; Python's, which Bugsink brings along."""

import json
import subprocess
from pathlib import Path

from . import BUILD, bugsink

FOLDER = BUILD / "javascript"
PACKAGES = {"@sentry/browser": "11.12.0", "esbuild": "0.25.12"}

# What an application does: one error with a file that is no text. All that it posts is written down, as it is before it is packed.
APPLICATION = """
import json, sys
import sentry_sdk
from sentry_sdk.transport import HttpTransport

class Recording(HttpTransport):
    def _send_request(self, body, headers, endpoint_type=None, envelope=None, **rest):
        with open(sys.argv[2], "ab") as file:
            file.write(envelope.serialize() + b"\\0--\\0")
        with open(sys.argv[2] + ".encoding", "w") as file:
            file.write(headers.get("Content-Encoding", ""))
        return super()._send_request(body, headers, endpoint_type=endpoint_type, envelope=envelope, **rest)

sentry_sdk.init(sys.argv[1], transport=Recording, traces_sample_rate=1.0, release="shop@1")
sentry_sdk.get_global_scope().add_attachment(bytes=bytes(range(256)) * 40, filename="all.bin")
with sentry_sdk.start_transaction(op="task", name="checkout"):
    try:
        {}["basket"]
    except KeyError:
        sentry_sdk.capture_exception()
sentry_sdk.flush(60)
"""


def browser_script() -> bytes:
    """`window.Sentry` as a site's bundler would make it."""
    made = FOLDER / "sentry.js"
    wanted = json.dumps(PACKAGES)
    stamp = FOLDER / "packages"
    if not (made.exists() and stamp.exists() and stamp.read_text() == wanted):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
        (FOLDER / "site.js").write_text('import * as Sentry from "@sentry/browser";\nwindow.Sentry = Sentry;\n')
        bundler = FOLDER / "node_modules" / ".bin" / "esbuild"
        command = [bundler, "site.js", "--bundle", "--minify", f"--outfile={made}", "--log-level=error"]
        subprocess.run(command, cwd=FOLDER, check=True)
        stamp.write_text(wanted)
    return made.read_bytes()


def run_application(dsn: str, record: Path) -> tuple[list[bytes], str]:
    """Runs it with that DSN; the envelopes that it has posted, and how it packed the last one."""
    bugsink.install()
    subprocess.run([bugsink.VENV / "bin" / "python", "-c", APPLICATION, dsn, record], check=True, timeout=120)
    envelopes = record.read_bytes().split(b"\0--\0")[:-1]
    return envelopes, Path(f"{record}.encoding").read_text()
