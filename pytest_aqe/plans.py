"""A plan on its way from the controller to the workers.

Workers need neither the history nor the learners, so what they read stands apart from both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_aqe.data import Budget, Depends, Identity, NodeId, Plan, Rank
from pytest_aqe.errors import AqeError

WRITTEN_FORMAT = 1
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
        "left_out": sorted(plan.left_out),
        "only": {identity: sorted(names) for identity, names in plan.only.items()},
        "carried": {
            identity: [known.own, known.base, list(known.doubt)]
            for identity, known in plan.carried.items()
        },
        "unvisited": dict(plan.unvisited),
        "because": dict(plan.because),
        "budget": [plan.budget.seconds, plan.budget.share] if plan.budget else None,
        "stale": list(plan.stale),
        "workers": plan.workers,
        "replay": list(plan.replay) if plan.replay is not None else None,
        "tells_rest": plan.tells_rest,
        "tells_order": plan.tells_order,
        "follows": plan.follows,
        "environ": list(plan.environ),
        "brief": plan.brief,
    }
    if folder is None or len(plan.ranks) + len(plan.left_out) + len(plan.carried) <= LONG_PLAN:
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


def write(path: Path, order: Sequence[NodeId], plan: Plan, reasons: Mapping[Identity, str]) -> None:
    """Write a plan for people and for ``--aqe-replay``: node ids in their order, and why."""
    content = {
        "format": WRITTEN_FORMAT,
        "mode": plan.mode,
        "policy": plan.policy,
        "run": list(order),
        "reasons": dict(sorted(reasons.items())),
        "left_out": sorted(plan.left_out),
    }
    _write("--aqe-plan", path, json.dumps(content, indent=2) + "\n")


def write_rest(path: Path, rest: Sequence[NodeId]) -> None:
    """Write what was left out, a node id on each line."""
    _write("--aqe-rest", path, "".join(f"{node_id}\n" for node_id in rest))


def _write(flag: str, path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise AqeError(f"{flag}: {path} cannot be written ({error.strerror})") from error


def read_written(path: Path) -> tuple[NodeId, ...]:
    """Return the node ids of a written plan, or of a list with one on each line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AqeError(f"--aqe-replay: {path} cannot be read ({error})") from error
    if not text.lstrip().startswith("{"):
        return tuple(line for line in text.splitlines() if line.strip())
    try:
        content = json.loads(text)
        run = content["run"] if content["format"] == WRITTEN_FORMAT else None
    except (ValueError, KeyError, TypeError):
        run = None
    if not isinstance(run, list) or not all(isinstance(each, str) for each in run):
        raise AqeError(f"--aqe-replay: {path} is not a plan that --aqe-plan wrote")
    return tuple(run)


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
        left_out=frozenset(wire["left_out"]),
        only={identity: frozenset(names) for identity, names in wire["only"].items()},
        carried={
            identity: Depends(own, base, tuple(doubt))
            for identity, (own, base, doubt) in wire["carried"].items()
        },
        unvisited=wire["unvisited"],
        because=wire["because"],
        budget=Budget(*wire["budget"]) if wire["budget"] else None,
        stale=tuple(wire["stale"]),
        workers=wire["workers"],
        replay=tuple(wire["replay"]) if wire["replay"] is not None else None,
        tells_rest=wire["tells_rest"],
        tells_order=wire["tells_order"],
        follows=wire["follows"],
        environ=tuple(wire["environ"]),
        brief=wire["brief"],
    )
