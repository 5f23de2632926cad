# SPDX-License-Identifier: BSD-2-Clause
"""What Sentry itself makes of events: the normalizer that every event of sentry.io goes through, from PyPI.

Sentry keeps an event of which it drops a field and tells nobody but the reader, in `_meta`.
"""

import json
import subprocess
from typing import Any

from . import pypi

VERSION = "0.10.1"

# One run of Python for all events; an answer of one line for each.
NORMALIZE = """
import json, sys
from sentry_relay.processing import StoreNormalizer
normalizer = StoreNormalizer(
    project_id=1, protocol_version="7", client="sentry.varnish/0", key_id="1", client_ip="198.51.100.7",
    max_secs_in_future=60, max_secs_in_past=2592000, remove_other=True, normalize_user_agent=True, enable_trimming=True,
)
for line in sys.stdin:
    made = normalizer.normalize_event(raw_event=line)
    print(json.dumps({"meta": made.get("_meta"), "errors": made.get("errors")}))
"""


def complaints(events: list[dict[str, Any]]) -> list[str]:
    """What it refused or cut of `events`, each with the field's path."""
    done = subprocess.run(
        [pypi.installed("sentry-relay", VERSION) / "python", "-c", NORMALIZE],
        input="".join(json.dumps(event) + "\n" for event in events),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(events):
        raise RuntimeError(f"the normalizer answered {len(answers)} of {len(events)} events")
    found = []
    for answer in answers:
        found += _marks(answer["meta"])
        found += map(json.dumps, answer["errors"] or [])
    return found


def _marks(meta: Any, path: str = "") -> list[str]:
    """The paths below `meta`, a tree of the event's form, that have something in them."""
    found = []
    for key, value in (meta or {}).items():
        if key == "":
            found += [f"{path}: {json.dumps(value)}"] if value else []
        else:
            found += _marks(value, f"{path}.{key}")
    return found
