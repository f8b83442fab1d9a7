"""Tests that were generated and wait for a decision: proposals."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_aqe.cli.answer import Answer
from pytest_aqe.errors import NotFound
from pytest_aqe.evidence.identity import git_root
from pytest_aqe.generation import proposals
from pytest_aqe.report.terminal import table


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    group = commands.add_parser(
        "proposals",
        parents=[common],
        help="generated tests that wait: list, show, apply, drop",
        description="generated tests that wait for a decision; without an action, all of them",
    )
    group.set_defaults(run=_list)
    actions = group.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser("list", parents=[common], help="all proposals")
    listing.set_defaults(run=_list)
    show = actions.add_parser("show", parents=[common], help="the text of one")
    show.add_argument("name", metavar="NAME", help="a file, or the code that it is about")
    show.set_defaults(run=_show)
    apply = actions.add_parser(
        "apply",
        parents=[common],
        help="move them into the test tree",
        description="move proposals into the test tree; a file that is there already keeps its "
        "name, and the new one gets a number",
    )
    drop = actions.add_parser("drop", parents=[common], help="remove them")
    for parser, run in ((apply, _apply), (drop, _drop)):
        parser.add_argument("names", nargs="*", metavar="NAME", help="as for show")
        parser.add_argument("--all", action="store_true", help="every proposal")
        parser.set_defaults(run=run)


def _list(asked: argparse.Namespace) -> Answer:
    folder = asked.history.parent
    found = [(each, _is_current(each, folder)) for each in proposals.proposals(folder)]
    lines = ["no proposals; `pytest --aqe --aqe-generate=propose` writes them"]
    if found:
        headings = ("name", "code", "tests", "lines", "branches", "mutants", "by")
        cells = [
            (
                each.name,
                each.file if current else f"{each.file} (changed since)",
                len(each.tests),
                each.lines,
                each.branches,
                f"{each.killed}/{each.mutants}",
                ", ".join(each.authors),
            )
            for each, current in found
        ]
        lines = table(headings, cells)
    return Answer(
        {"proposals": [{**asdict(each), "current": current} for each, current in found]}, lines
    )


def _show(asked: argparse.Namespace) -> Answer:
    folder = asked.history.parent
    proposal = proposals.named(folder, asked.name)
    text = proposals.text_of(folder, proposal)
    return Answer({**asdict(proposal), "text": text}, text.splitlines())


def _apply(asked: argparse.Namespace) -> Answer:
    folder = asked.history.parent
    applied = [
        (each, proposals.apply(folder, folder.parent, each), _is_current(each, folder))
        for each in _chosen(asked)
    ]
    lines = [f"{each.name} -> {path}" for each, path, _ in applied]
    lines += [
        f"{each.file} has changed since {each.name} was accepted: run it before you keep it"
        for each, _, current in applied
        if not current
    ]
    rows = [
        {"name": each.name, "path": str(path), "current": current}
        for each, path, current in applied
    ]
    return Answer({"applied": rows}, lines)


def _drop(asked: argparse.Namespace) -> Answer:
    chosen = _chosen(asked)
    for each in chosen:
        proposals.drop(asked.history.parent, each)
    return Answer(
        {"dropped": [each.name for each in chosen]}, [f"{each.name} dropped" for each in chosen]
    )


def _is_current(proposal: proposals.Proposal, folder: Path) -> bool:
    return proposals.is_current(proposal, git_root(folder) or folder.parent)


def _chosen(asked: argparse.Namespace) -> list[proposals.Proposal]:
    folder = asked.history.parent
    if asked.all:
        return proposals.proposals(folder)
    if not asked.names:
        raise NotFound("name a proposal, or say --all; `pytest-aqe proposals list` shows them")
    return [proposals.named(folder, name) for name in asked.names]
