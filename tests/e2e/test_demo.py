# SPDX-License-Identifier: BSD-2-Clause
"""The demo does what it shows, and cleans up."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from . import ROOT


class Demo(unittest.TestCase):
    def test_the_demo_ends_well_and_leaves_nothing(self) -> None:
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            os.chmod(folder, 0o755)
            done = subprocess.run(
                [sys.executable, ROOT / "demo" / "demo.py"],
                env=os.environ | {"TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
            )
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(os.listdir(folder), [])
            # Every process of the demo has the folder's name on its command line.
            lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
            self.assertFalse([line for line in lines if folder.encode() in line])
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80)
