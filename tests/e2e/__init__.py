# SPDX-License-Identifier: BSD-2-Clause
"""End-to-end tests: a real varnishd with both modules, real servers around it.

varnishd.py, origin.py, receiver.py, bugsink.py and kent.py each start one kind of server on a port of its own
and end it; demo/ uses the same ones. The test_*.py files are the tests, `tests/check e2e` runs them.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
