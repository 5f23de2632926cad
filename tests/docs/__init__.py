# SPDX-License-Identifier: BSD-2-Clause
"""What the documents show and where they lead: pictures that are drawn and not painted, links and chapters that are there."""

import sys

from e2e import ROOT

sys.path.insert(0, str(ROOT / "benches"))

import pictures  # noqa: E402
from pictures import svg  # noqa: E402

__all__ = ["ROOT", "pictures", "svg"]
