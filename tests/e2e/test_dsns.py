# SPDX-License-Identifier: BSD-2-Clause
"""The list of DSNs that comes out of a self-hosted Sentry's PostgreSQL: its tables as Sentry has them, as far as they are read."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from . import ROOT
from .postgres import Postgres

PROGRAM = ROOT / "pkg" / "dsns" / "sentry-dsns"
HEAD = "# Written by sentry-dsns: changes are lost.\n"

TABLES = """
CREATE TABLE sentry_organization (id bigint PRIMARY KEY, slug varchar(50), status integer NOT NULL);
CREATE TABLE sentry_project (id bigint PRIMARY KEY, slug varchar(50), status integer NOT NULL,
    organization_id bigint NOT NULL REFERENCES sentry_organization);
CREATE TABLE sentry_projectkey (id bigint PRIMARY KEY, project_id bigint NOT NULL REFERENCES sentry_project,
    public_key varchar(32), secret_key varchar(32), roles bigint NOT NULL, status integer NOT NULL);
INSERT INTO sentry_organization VALUES (1, 'shop', 0), (2, 'gone', 1);
INSERT INTO sentry_project VALUES (10, 'web', 0, 1), (9, 'app', 0, 1), (11, 'deleted', 2, 1), (12, 'of a deleted one', 0, 2);
INSERT INTO sentry_projectkey VALUES
    (1, 10, 'aaaa', 'hunter2', 1, 0),
    (2, 10, 'bbbb', 'hunter2', 3, 0),
    (3, 9, 'cccc', 'hunter2', 1, 0),
    (4, 10, 'disabled', 'hunter2', 1, 1),
    (5, 10, 'apionly', 'hunter2', 2, 0),
    (6, 11, 'deletedproject', 'hunter2', 1, 0),
    (7, 12, 'deletedorganization', 'hunter2', 1, 0),
    (8, 10, NULL, 'hunter2', 1, 0),
    (9, 10, E'x\\ny@evil.example/1', 'hunter2', 1, 0);
"""


class Dsns(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.database = cls.enterClassContext(Postgres())
        cls.database.execute(TABLES)

    def setUp(self) -> None:
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "dsns"

    def ask(self, url: str | None = "https://sentry.example.com", **more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.database.environment | ({"SENTRY_URL": url} if url is not None else {}) | more
        if url is None:
            environment.pop("SENTRY_URL", None)
        return subprocess.run([str(PROGRAM), str(self.file)], env=environment, capture_output=True, text=True, timeout=120)

    def test_each_key_in_use_is_a_dsn_in_the_order_of_projects(self) -> None:
        done = self.ask()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        places = ["cccc@sentry.example.com/9", "aaaa@sentry.example.com/10", "bbbb@sentry.example.com/10"]
        self.assertEqual(self.file.read_text(), HEAD + "".join(f"https://{place}\n" for place in places))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o644, "varnishd's child may read it")

    def test_a_base_url_keeps_port_and_path(self) -> None:
        self.assertEqual(self.ask("http://[::1]:9000/errors//").returncode, 0)
        self.assertIn("http://cccc@[::1]:9000/errors/9\n", self.file.read_text())

    def test_a_file_that_would_be_the_same_is_not_touched(self) -> None:
        self.ask()
        before = self.file.stat()
        self.assertEqual(self.ask().returncode, 0)
        self.assertEqual((self.file.stat().st_ino, self.file.stat().st_mtime_ns), (before.st_ino, before.st_mtime_ns))

    def test_a_database_that_does_not_answer_leaves_the_file_as_it_is(self) -> None:
        self.file.write_text("https://old@sentry.example.com/1\n")
        for trouble in ({"PGHOST": "/nowhere"}, {"PGDATABASE": "template1"}):
            done = self.ask(**trouble)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"sentry-dsns: no answer from the database, {self.file} stays as it is\n", done.stderr)
            self.assertEqual(self.file.read_text(), "https://old@sentry.example.com/1\n")
        self.assertEqual([self.file], list(self.file.parent.iterdir()), "nothing is left beside it")

    def test_a_database_without_a_key_in_use_leaves_the_file_as_it_is(self) -> None:
        self.file.write_text("https://old@sentry.example.com/1\n")
        self.database.execute("UPDATE sentry_projectkey SET status = status + 10")
        self.addCleanup(self.database.execute, "UPDATE sentry_projectkey SET status = status - 10")
        done = self.ask()
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"sentry-dsns: the database has no key that is in use, {self.file} stays as it is\n")
        self.assertEqual(self.file.read_text(), "https://old@sentry.example.com/1\n")

    def test_a_url_that_is_none_is_refused(self) -> None:
        for url in (None, "", "sentry.example.com", "ftp://sentry.example.com", "https://", "https:///x", "https://user:hunter2@sentry.example.com", "https://a b"):
            done = self.ask(url)
            self.assertEqual(done.returncode, 1, url)
            self.assertIn("SENTRY_URL is n", done.stderr)
            self.assertNotIn("hunter2", done.stderr)
        self.assertFalse(self.file.exists())

    def test_a_folder_that_may_not_be_written_to_is_said(self) -> None:
        self.file = Path("/proc/dsns")
        done = self.ask()
        self.assertEqual(done.returncode, 1)
        self.assertIn("sentry-dsns: cannot write beside /proc/dsns\n", done.stderr)

    def test_the_units_are_ones(self) -> None:
        units = ROOT / "pkg" / "dsns"
        timer = (units / "sentry-dsns.timer").read_text()
        self.assertIn("WantedBy=timers.target", timer)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(units / "sentry-dsns.timer"), str(units / "sentry-dsns.service")],
            capture_output=True,
            text=True,
        )
        # The program is where packages put it, which is not here.
        complaints = [line for line in done.stderr.splitlines() if "sentry-dsns" in line and "is not executable" not in line]
        self.assertEqual(complaints, [])
