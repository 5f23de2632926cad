# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for something to become true, with a deadline that a busy machine can keep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Returns the first true result of `condition`, or raises TimeoutError naming `what`."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} seconds")
        time.sleep(0.05)
