"""Moving runs in and out: import, export, merge, prune."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
