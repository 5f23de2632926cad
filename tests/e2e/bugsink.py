# SPDX-License-Identifier: BSD-2-Clause
"""A real Sentry-compatible server: Bugsink, from PyPI into build/, with a database of its own.

It validates every event strictly against Sentry's published schema. A rejected event still gets a 200
as its answer: only its absence and the log tell. So a test reads each event back, and `rejected()`.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from . import pypi, wait
from .varnishd import end

VERSION = "2.6.1"
USER, PASSWORD = "admin@example.com", "admin"

# All is on this machine: a proxy that the environment names has no part in it.
urlopen = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

SETTINGS = """
from bugsink.settings.default import *

SECRET_KEY = {secret!r}
TIME_ZONE = "UTC"
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES["default"]["NAME"] = {folder!r} + "/db.sqlite3"
DATABASES["snappea"]["NAME"] = {folder!r} + "/tasks.sqlite3"
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
# Digest an event within its request: it can be read as soon as the sender has its answer.
SNAPPEA = {{"TASK_ALWAYS_EAGER": True}}
BUGSINK = {{
    "BASE_URL": {url!r},
    "SINGLE_USER": True,
    "SINGLE_TEAM": True,
    "USER_REGISTRATION": "CB_NOBODY",
    "PHONEHOME": False,
    "INGEST_STORE_BASE_DIR": {folder!r} + "/ingest",
    "VALIDATE_ON_DIGEST": {validation!r},
    "KEEP_ENVELOPES": 10000,
    "MAX_EVENTS_PER_PROJECT_PER_5_MINUTES": {quota},
    "MAX_EVENTS_PER_PROJECT_PER_HOUR": 100000,
    "MAX_EVENTS_PER_5_MINUTES": 100000,
    "MAX_EVENTS_PER_HOUR": 100000,
}}
"""

# One run of Python: each of Bugsink's own commands would take seconds to start.
SETUP = """
import django, json, sys
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("migrate", "snappea", database="snappea", verbosity=0)
from django.contrib.auth import get_user_model
from bsmain.models import AuthToken
from projects.models import Project
from teams.models import Team
user, password, key = sys.argv[1:]
get_user_model().objects.create_superuser(username=user, email=user, password=password)
project = Project.objects.create(name="edge", team=Team.objects.create(name="varnish"), sentry_key=key)
project.refresh_from_db()
print(json.dumps({"dsn": project.dsn, "token": AuthToken.create_full_access().token, "project": project.id}))
"""


# Its copy of the schema is older than the settings that SDKs send, of which this one is ours.
APPLICATION = """
from bugsink import event_schema
from bugsink.wsgi import application

as_published = event_schema.validate


def validate(event):
    sdk = dict(event.get("sdk") or {})
    if sdk.get("settings") == {"infer_ip": "never"}:
        del sdk["settings"]
        event = event | {"sdk": sdk}
    return as_published(event)


event_schema.validate = validate
"""


def programs() -> Path:
    """Where Python is with all that Bugsink brings along."""
    return pypi.installed("bugsink", VERSION)


class Bugsink:
    """Use as a context manager: inside the block, `dsn` takes envelopes and `url` shows the web page.

    `pages` has the address of the page of each event that was read back, by event id. It takes `quota` events in
    5 minutes, then answers 429. With `validation` "none" it takes what Sentry's own SDKs send, which its published schema does not.
    `pages` has the address of the page of each event that was read back, by event id, `issues` its issue's id.
    """

    def __init__(self, quota: int = 100000, validation: str = "strict"):
        self.quota = quota
        self.validation = validation

    def __enter__(self) -> "Bugsink":
        self.pages: dict[str, str] = {}
        self.issues: dict[str, str] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="bugsink-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            end(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        # The socket listens from here on and gunicorn inherits it: no port to guess, none to lose.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            (self.folder / "ingest").mkdir(mode=0o700)
            settings = SETTINGS.format(
                folder=str(self.folder),
                url=self.url,
                secret=secrets.token_hex(32),
                quota=self.quota,
                validation=self.validation,
            )
            (self.folder / "bugsink_conf.py").write_text(settings)
            (self.folder / "bugsink_application.py").write_text(APPLICATION)
            environment = os.environ | {"DJANGO_SETTINGS_MODULE": "bugsink_conf", "PYTHONPATH": str(self.folder)}
            made = subprocess.run(
                [programs() / "python", "-c", SETUP, USER, PASSWORD, secrets.token_hex(16)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if made.returncode:
                raise RuntimeError(f"Bugsink's database could not be made:\n{made.stderr}")
            project = json.loads(made.stdout.splitlines()[-1])
            self.dsn, self.token, self.project = project["dsn"], project["token"], project["project"]
            command = [programs() / "gunicorn", "--bind", f"fd://{listener.fileno()}"]
            command += ["--workers", "1", "--threads", "4", "--capture-output", "--log-level", "warning"]
            command += ["--no-control-socket", "bugsink_application"]
            with (self.folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=environment,
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        wait.until(self._ready, "Bugsink answers")

    def _ready(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise RuntimeError(f"Bugsink ended with status {self._process.returncode}:\n{self.log()}")
        try:
            with urlopen(f"{self.url}/health/ready", timeout=60):
                return True
        except urllib.error.URLError:
            return False

    def log(self) -> str:
        """Everything Bugsink has said."""
        return (self.folder / "log").read_text(errors="replace")

    def rejected(self) -> list[str]:
        """The errors in the log: one or two lines for each event that was not taken."""
        return [line for line in self.log().splitlines() if re.match(r"[\w.]+(Error|Exception): ", line)]

    def _api(self, path: str) -> Any:
        url = path if path.startswith("http") else f"{self.url}/api/canonical/0/{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def count(self) -> int:
        """How many events it has taken: sooner known than read back."""
        return self._api(f"projects/{self.project}/")["stored_event_count"]

    def _list(self, path: str) -> list[dict[str, Any]]:
        page = self._api(path)
        results = page["results"]
        while page["next"]:
            page = self._api(page["next"])
            results += page["results"]
        return results

    def stored(self) -> list[dict[str, Any]]:
        """Bugsink's records of all events, oldest first; "data" is the event as it was sent."""
        found = []
        for issue in self._list(f"issues/?project={self.project}"):
            for event in self._list(f"events/?issue={urllib.parse.quote(issue['id'])}"):
                found.append(self._api(f"events/{event['id']}/"))
                page = f"{self.url}/issues/issue/{event['issue']}/event/{event['id']}/details/"
                self.pages[found[-1]["data"]["event_id"]] = page
                self.issues[found[-1]["data"]["event_id"]] = issue["id"]
        return sorted(found, key=lambda event: event["data"]["timestamp"])

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events as they were sent, oldest first."""
        return [event["data"] for event in self.stored()]

    def wait_for(self, count: int, seconds: float = 60) -> list[dict[str, Any]]:
        """All events, once there are `count` of them."""
        try:
            return wait.until(
                lambda: events if len(events := self.events) >= count else None, f"{count} events arrive", seconds
            )
        except TimeoutError as late:
            raise TimeoutError(f"{late}; Bugsink's log:\n{self.log()}") from None
