# SPDX-License-Identifier: BSD-2-Clause
"""A varnishd of our own, with both modules: its folder, port, VCL, counters and end."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import BUILD, wait

# Varnish's own default of 5 seconds is short for a C compiler on a busy machine.
ADM_TIMEOUT = "60"


@contextlib.contextmanager
def folder_for_child() -> Iterator[Path]:
    """A folder that the child may write to; gone after the block."""
    with tempfile.TemporaryDirectory(prefix="child-", ignore_cleanup_errors=True) as folder:
        # varnishd, started by root, runs its child as another user.
        for user in ("vcache", "varnish"):
            try:
                shutil.chown(folder, user)
                break
            except (LookupError, PermissionError):
                pass
        yield Path(folder)


class Varnishd:
    """Use as a context manager: varnishd runs inside the block and everything is gone after it.

    `import sentry;` and `import saintmode;` find the modules of build/. They and the VCL are copied
    below /tmp because varnishd, started by root, reads them as another user, who may not see the tree.
    """

    def __init__(
        self,
        vcl: str,
        *,
        identity: str = "edge1",
        parameters: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ):
        self.vcl = vcl
        self.identity = identity
        self.parameters = parameters or {}
        # Whoever runs the tests may have a DSN of their own in the environment.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SENTRY_")}
        self.environment = clean | (environment or {})
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Varnishd":
        self.folder = Path(tempfile.mkdtemp(prefix="varnishd-"))
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

    def kill(self) -> None:
        """Ends manager and child at once, as a machine that loses power does; `start()` follows."""
        assert self._process
        manager, child = self._process.pid, self.child()
        # Either ends or replaces the other that is gone, unless it was stopped before.
        os.kill(manager, signal.SIGSTOP)
        for pid in (child, manager):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def start(self) -> None:
        """Starts varnishd in its folder."""
        self.folder.chmod(0o755)
        modules = self.folder / "modules"
        modules.mkdir(mode=0o755, exist_ok=True)
        for module in BUILD.glob("libvmod_*.so"):
            shutil.copy(module, modules)
        self.logfile = self.folder / "varnishd.log"
        parameters = {"vmod_path": f"{modules}:{server_modules()}", "vcl_path": str(self.folder)} | self.parameters
        command = ["varnishd", "-F", "-n", str(self.folder / "work"), "-i", self.identity]
        command += ["-a", "127.0.0.1:0", "-T", "127.0.0.1:0", "-s", "default,32m", "-l", "16m"]
        command += ["-f", str(self.write_vcl(self.vcl))]
        for name, value in parameters.items():
            command += ["-p", f"{name}={value}"]
        with self.logfile.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        try:
            wait.until(self._runs, "varnishd starts its child")
        except TimeoutError as late:
            raise TimeoutError(f"{late}:\n{self.log()}") from None
        self.port = int(self.adm("debug.listen_address").split()[2])

    def _runs(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise RuntimeError(f"varnishd ended with status {self._process.returncode}:\n{self.log()}")
        return self.running()

    def running(self) -> bool:
        """Whether the child runs."""
        # Asked again and again: varnishadm must not wait its whole time for a server that has gone.
        return "Child in state running" in self._adm("status", timeout="5").stdout

    def write_vcl(self, vcl: str, name: str = "boot") -> Path:
        """Writes a VCL where the server can read it."""
        path = self.folder / f"{name}.vcl"
        path.write_text(vcl)
        path.chmod(0o644)
        return path

    def use_vcl(self, vcl: str, name: str) -> None:
        """Loads a VCL, which serves from then on."""
        self.adm("vcl.load", name, str(self.write_vcl(vcl, name)))
        self.adm("vcl.use", name)

    def _adm(self, *command: str, timeout: str = ADM_TIMEOUT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["varnishadm", "-n", str(self.folder / "work"), "-t", timeout, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def adm(self, *command: str) -> str:
        """Runs one command of varnishadm; raises with its answer if it fails."""
        done = self._adm(*command)
        if done.returncode:
            raise RuntimeError(f"varnishadm {' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def log(self) -> str:
        """What varnishd has said so far."""
        return self.logfile.read_text(errors="replace")

    def child(self) -> int:
        """The pid of the child, 0 while there is none."""
        words = self.adm("pid").split()
        return int(words[words.index("Worker:") + 1]) if "Worker:" in words else 0

    def panic(self) -> None:
        """Has the child panic, and waits for the next one."""
        before = self.child()
        try:
            self.adm("debug.panic.worker")
        except RuntimeError:
            pass  # The child may be gone before it can answer.
        wait.until(lambda: self.running() and self.child() not in (0, before), "a new child runs")

    def counters(self) -> dict[str, int]:
        """All counters, as varnishstat names them."""
        done = subprocess.run(
            ["varnishstat", "-1", "-j", "-n", str(self.folder / "work")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return {name: c["value"] for name, c in json.loads(done.stdout)["counters"].items()}

    def request(
        self, url: str, method: str = "GET", headers: dict[str, str] | None = None, body: str | None = None
    ) -> "Answer":
        """Makes one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, url, body, {"Host": "shop.example"} | (headers or {}))
            return Answer(connection.getresponse())
        finally:
            connection.close()


def server_modules() -> str:
    """The folder of the modules that came with the server: std, directors and so on."""
    for name in ("varnishapi", "vinylapi"):
        found = subprocess.run(["pkg-config", "--variable=vmoddir", name], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.strip()
    raise RuntimeError("pkg-config knows neither varnishapi nor vinylapi")


class Answer:
    """A response, read to its end."""

    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode(errors="replace")


def end(process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Ends a process started in a session of its own, and whatever it has left there."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
