# SPDX-License-Identifier: BSD-2-Clause
"""Programs from PyPI, each in a virtual environment of its own below build/."""

import shutil
import subprocess
import sys
from pathlib import Path

from . import BUILD


def installed(package: str, version: str) -> Path:
    """The folder of its programs; made unless an earlier run has."""
    venv = BUILD / f"{package}-venv"
    done = venv / f"has-{package}-{version}"
    if not done.exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", f"{package}=={version}"], check=True)
        done.touch()
    return venv / "bin"
