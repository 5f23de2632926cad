# SPDX-License-Identifier: BSD-2-Clause
"""What promtool says of the files: syntax, and the rules' own tests."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from . import CONTRIB
from .collector import configuration


class Rules(unittest.TestCase):
    def promtool(self, *words: str) -> None:
        done = subprocess.run(["promtool", *words], cwd=CONTRIB, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_jobs_and_the_rules_are_well_formed(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "prometheus.yml"
            config.write_text(configuration({}, 15))
            self.promtool("check", "config", str(config))

    def test_the_rules_pass_their_tests_and_each_alert_has_one(self) -> None:
        self.promtool("test", "rules", "rules_test.yml")
        alerts = re.findall(r"- alert: (\w+)", (CONTRIB / "rules.yml").read_text())
        tests = (CONTRIB / "rules_test.yml").read_text()
        self.assertEqual([alert for alert in alerts if alert not in tests], [])
        self.assertTrue(alerts)
