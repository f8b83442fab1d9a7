"""What language models were asked, what it cost, and what they remember."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from pytest_aqe.cli.answer import Answer, reading
from pytest_aqe.history import agents as rows
from pytest_aqe.report.agents import use_table


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    agents = commands.add_parser(
        "agents",
        parents=[common],
        help="what language models were asked, what it cost, and what they remember",
        description="what language models were asked in all sessions, by model and role: "
        "questions, tokens as the servers counted them, dollars; and what agents remember",
    )
    agents.set_defaults(run=_agents)


def _agents(asked: argparse.Namespace) -> Answer:
    with reading(asked.history) as connection:
        used = rows.uses(connection)
        memory = rows.memory(connection)
    data = {
        "models": [asdict(each) for each in used],
        "memory": [
            {
                "partition": partition,
                "key": key,
                "value": json.loads(value),
                "stored_at": stored,
                "expires_at": expires,
            }
            for partition, key, value, stored, expires in memory
        ],
    }
    if not used:
        return Answer(data, ["no language model was asked yet (--aqe-llm)"])
    entries = "entry" if len(memory) == 1 else "entries"
    return Answer(data, [*use_table(used), "", f"{len(memory):,} {entries} in memory"])
