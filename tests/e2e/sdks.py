# SPDX-License-Identifier: BSD-2-Clause
"""Sentry's own senders: the browser's SDK, from npm into one script; Node's, and sentry-cli; Python's, which Bugsink brings along."""

import base64
import gzip
import json
import os
import subprocess
import unittest
from pathlib import Path

from . import BUILD, bugsink

FOLDER = BUILD / "javascript"
PACKAGES = {"@sentry/browser": "11.12.0", "esbuild": "0.25.12"}
# The last ones that run with Node 18, which is Debian 12's.
NODE_FOLDER = BUILD / "node"
NODE_PACKAGES = {"@sentry/node": "10.78.0"}
# Its program comes as a package for each platform: the one that it would load from elsewhere is not asked for.
CLI_FOLDER = BUILD / "sentry-cli"
CLI_PACKAGES = {"@sentry/cli": "2.58.6"}

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

# The same for Node, and all else that its SDK reports. What it posts is written down as it goes to the socket.
NODE_APPLICATION = """
import { appendFileSync } from "node:fs";
import http from "node:http";
import * as Sentry from "@sentry/node";

const [dsn, record] = process.argv.slice(2);
const request = (options, callback) => {
    const made = http.request(options, callback);
    const chunks = [];
    const { write, end } = made;
    made.write = (chunk, ...rest) => {
        chunks.push(Buffer.from(chunk));
        return write.call(made, chunk, ...rest);
    };
    made.end = (...rest) => {
        const encoding = options.headers["content-encoding"] ?? "";
        appendFileSync(record, JSON.stringify([encoding, Buffer.concat(chunks).toString("base64")]) + "\\n");
        return end.call(made, ...rest);
    };
    return made;
};
Sentry.init({ dsn, transportOptions: { httpModule: { request } }, tracesSampleRate: 1, enableLogs: true, release: "shop@1" });
const all = Uint8Array.from({ length: 256 * 200 }, (_, at) => at);
Sentry.withScope((scope) => {
    scope.addAttachment({ filename: "all.bin", data: all });
    Sentry.captureException(new TypeError("no basket, ä 🧺"));
});
Sentry.startSpan({ name: "checkout", op: "task" }, () => {});
Sentry.startSession();
Sentry.endSession();
Sentry.logger.info("a log");
Sentry.captureCheckIn({ monitorSlug: "nightly", status: "ok" });
Sentry.captureFeedback({ message: "nice" });
await Sentry.flush(60000);
"""


def environment() -> dict[str, str]:
    """The environment of what sends: a proxy has no part in it, nor has a DSN of whoever runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SENTRY_") and not name.lower().endswith("_proxy")}
    return clean | {"no_proxy": "127.0.0.1"}


def npm(folder: Path, packages: dict[str, str], made: Path | None = None) -> bool:
    """Installs packages, unless an earlier run has; whether it did, or something that is made of them is missing."""
    wanted = json.dumps(packages)
    stamp = folder / "packages"
    if stamp.exists() and stamp.read_text() == wanted and (made is None or made.exists()):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": packages}))
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    stamp.write_text(wanted)
    return True


def browser_script() -> bytes:
    """`window.Sentry` as a site's bundler would make it."""
    made = FOLDER / "sentry.js"
    if npm(FOLDER, PACKAGES, made):
        (FOLDER / "site.js").write_text('import * as Sentry from "@sentry/browser";\nwindow.Sentry = Sentry;\n')
        bundler = FOLDER / "node_modules" / ".bin" / "esbuild"
        command = [bundler, "site.js", "--bundle", "--minify", f"--outfile={made}", "--log-level=error"]
        subprocess.run(command, cwd=FOLDER, check=True)
    return made.read_bytes()


def run_application(dsn: str, record: Path) -> tuple[list[bytes], str]:
    """Runs it with that DSN; the envelopes that it has posted, and how it packed the last one."""
    command = [bugsink.programs() / "python", "-c", APPLICATION, dsn, record]
    subprocess.run(command, check=True, timeout=120, env=environment())
    envelopes = record.read_bytes().split(b"\0--\0")[:-1]
    return envelopes, Path(f"{record}.encoding").read_text()


def run_node_application(dsn: str, record: Path) -> tuple[list[bytes], set[str]]:
    """The same for Node; the envelopes, and how they were packed."""
    npm(NODE_FOLDER, NODE_PACKAGES)
    program = NODE_FOLDER / "application.mjs"
    program.write_text(NODE_APPLICATION)
    subprocess.run(["node", program, dsn, record], check=True, timeout=120, env=environment())
    posts = [json.loads(line) for line in record.read_text().splitlines()]
    bodies = [(encoding, base64.b64decode(body)) for encoding, body in posts]
    return [gzip.decompress(body) if encoding else body for encoding, body in bodies], {encoding for encoding, _ in bodies}


def send_envelope(dsn: str, *arguments: str | Path) -> None:
    """`sentry-cli send-envelope`."""
    npm(CLI_FOLDER, CLI_PACKAGES)
    modules = CLI_FOLDER / "node_modules" / "@sentry"
    program = next(modules.glob("cli-*/bin/sentry-cli"), None)
    if program is None:
        raise unittest.SkipTest("npm has no package of sentry-cli's program for this platform")
    variables = environment() | {"SENTRY_DSN": dsn, "SENTRY_DISABLE_UPDATE_CHECK": "1", "HOME": str(CLI_FOLDER)}
    subprocess.run([program, "send-envelope", *arguments], check=True, timeout=60, stdout=subprocess.DEVNULL, env=variables)
