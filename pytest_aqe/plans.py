"""A plan on its way from the controller to the workers.

Workers need neither the history nor the learners, so what they read stands apart from both.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_aqe.data import Plan, Rank
from pytest_aqe.errors import AqeError

LONG_PLAN = 10_000  # ranks; beyond it xdist's start slows down, so workers read a file instead


def pack(plan: Plan, folder: Path | None) -> dict[str, Any]:
    """Turn a plan into what execnet can carry: itself, or a file and its sha256.

    50,000 ranks cost 7 s of xdist's start (measured), a path costs nothing. ``folder`` is
    None for a worker on another machine, which cannot read our files.
    """
    wire = {
        "mode": plan.mode,
        "prefix": plan.prefix,
        "policy": plan.policy,
        "ranks": {
            identity: [rank.tier, rank.score, rank.seconds] for identity, rank in plan.ranks.items()
        },
    }
    if folder is None or len(plan.ranks) <= LONG_PLAN:
        return wire
    data = json.dumps(wire).encode()
    digest = sha256(data).hexdigest()
    path = folder / "plans" / f"{os.getpid()}-{digest[:16]}.json"  # this session's to remove
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(data)
        partial.replace(path)
    return {"path": str(path), "sha256": digest}


def unpack(wire: dict[str, Any]) -> Plan:
    """Read what `pack` made; raise `AqeError` when the file is not the one that was sent."""
    if "path" in wire:
        data = Path(wire["path"]).read_bytes()
        if sha256(data).hexdigest() != wire["sha256"]:
            raise AqeError(f"{wire['path']} is not the plan that was sent; tests run as collected")
        wire = json.loads(data)
    return Plan(
        mode=wire["mode"],
        prefix=wire["prefix"],
        policy=wire["policy"],
        ranks={
            identity: Rank(tier, score, seconds, "")
            for identity, (tier, score, seconds) in wire["ranks"].items()
        },
    )
