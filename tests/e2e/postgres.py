# SPDX-License-Identifier: BSD-2-Clause
"""A PostgreSQL of our own: no port, a socket in its folder, gone after the block."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

DATABASE = "postgres"


class Postgres:
    """Use as a context manager. Its programs refuse to run as root: then they run as the package's user."""

    def __enter__(self) -> "Postgres":
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        try:
            self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
            if self._as:
                shutil.chown(self.folder, "postgres")
            self._run("initdb", "-D", self._data, "-U", "sentry", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
            options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
            self._run("pg_ctl", "-D", self._data, "-w", "-t", "120", "-l", str(self.folder / "log"), "-o", options, "start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if Path(self._data, "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    @property
    def environment(self) -> dict[str, str]:
        """How psql finds it."""
        return {"PGHOST": str(self.folder), "PGUSER": "sentry", "PGDATABASE": DATABASE, "PGCONNECT_TIMEOUT": "30"}

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "120", "-m", "immediate", "stop")

    def execute(self, statements: str) -> None:
        """Has it execute SQL; raises with what it says if it does not."""
        command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={statements}"]
        subprocess.run(command, env=os.environ | self.environment, check=True, capture_output=True, text=True)

    def _run(self, program: str, *arguments: str) -> None:
        # Debian keeps them out of everybody's PATH, by version.
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        command = [*self._as, str(found[-1]) if found else program, *arguments]
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")
