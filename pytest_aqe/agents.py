"""Language models in a session: settings, history and authors meet here.

Made only where ``--aqe-llm`` is given and tests are to be generated. Whatever goes wrong costs
the models' tests, never the session: the offline author needs none of this.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_aqe.data import Announcement, Target, Trial
from pytest_aqe.errors import HistoryError, ModelError, NotFound
from pytest_aqe.generation import providers
from pytest_aqe.generation.correspondence import Asked, Correspondence
from pytest_aqe.generation.ledger import Caps
from pytest_aqe.generation.memory import Entry, Memory
from pytest_aqe.generation.model_author import ModelAuthor, Shelf
from pytest_aqe.generation.questions import Reply, Setup
from pytest_aqe.history import agents as rows
from pytest_aqe.history.store import open_history
from pytest_aqe.options import LLM
from pytest_aqe.report import agents as report

COST_CAP = 1.0  # dollars; some seven accepted files at CoverUp's $0.14 each (FSE'25)

Tell = Callable[[str, Iterable[Mapping[str, Any]]], None]
"""Keeps rows of a kind: `Recorder.tell`."""


class Agents:
    """The models of a session as authors, cheapest first, and what they have in common."""

    def __init__(
        self,
        llm: LLM,
        history: Path,
        tell: Tell,
        say: Callable[[str], None],
    ) -> None:
        """Raise `ModelError` where a setting cannot be meant; nothing is started yet.

        ``say`` writes what is about to leave the machine.
        """
        self._history = history
        self._tell = tell
        self._say = say
        self.read_tables: set[str] = set()
        self._setup = setup(llm)
        self._reviewers = llm.review
        self._correspondence = Correspondence(
            self._setup, self._announce, find=self._find, record=self._record
        )
        entries, preferred = self._remembered()
        self.memory = Memory(entries, lambda row: self._tell("memory", [row]))
        shelf = Shelf(self.memory, preferred, lambda row: self._tell("examples", [row]))
        self.authors: tuple[ModelAuthor, ...] = tuple(
            ModelAuthor(self._correspondence, shelf, model=number, samples=llm.samples)
            for number in range(len(self._setup.models))
        )

    @property
    def unanswered(self) -> frozenset[str]:
        """The gaps, by id, for which some model gave no answer: it has not tried in vain."""
        return frozenset(gap for author in self.authors for gap in author.unanswered)

    @property
    def waited(self) -> float:
        """How long answers have been waited for, in seconds; --aqe-llm-time-cap bounds it."""
        return self._correspondence.waited

    def review(self, trial: Trial, target: Target) -> list[str]:
        """Return why an accepted test is not to be proposed, by a panel of the last model."""
        if not self._reviewers:
            return []
        return self.authors[-1].objections(trial, target, self._reviewers)

    def learn(self, trials: Sequence[Trial], target: Target) -> None:
        """Remember how the candidates of each author fared."""
        for author in self.authors:
            author.learn([each for each in trials if each.candidate.author == author.name], target)

    def lines(self) -> list[str]:
        """Return what was asked and spent."""
        correspondence = self._correspondence
        spent = correspondence.spent
        return report.session_lines(
            asked=correspondence.asked,
            cached=correspondence.cached,
            tokens=(spent.input_tokens, spent.output_tokens, spent.assumed_tokens),
            cost=spent.dollars,
            errors=correspondence.errors,
            over=correspondence.over,
        )

    def close(self) -> None:
        """End the agents' process."""
        self._correspondence.close()

    def _announce(self, told: Announcement) -> None:
        for line in report.announcement_lines(told):
            self._say(line)

    def _record(self, asked: Asked) -> None:
        self._tell("calls", [asked.row()])

    def _find(self, keys: Sequence[str]) -> dict[str, Reply]:
        """Return earlier replies; none where the history cannot be read."""
        with (
            suppress(NotFound, HistoryError),
            open_history(self._history, write=False) as connection,
        ):
            found = {
                each.key: Reply(
                    "",
                    text=each.text,
                    data=None if each.data is None else json.loads(each.data),
                    cut=each.cut,
                )
                for each in rows.said(connection, keys)
            }
            self.read_tables |= connection.read_tables
            return found
        return {}

    def _remembered(self) -> tuple[list[Entry], list[str]]:
        with (
            suppress(NotFound, HistoryError),
            open_history(self._history, write=False) as connection,
        ):
            entries = [Entry(*row) for row in rows.memory(connection)]
            preferred = rows.helpful_examples(connection)
            self.read_tables |= connection.read_tables
            return entries, preferred
        return [], []


def setup(llm: LLM) -> Setup:
    """Return whom a session asks, within which caps; raise `ModelError` for what cannot be."""
    price = None if llm.price is None else providers.read_price(llm.price)
    key = llm.key
    if key is not None and key.startswith("file:"):  # the agents' process stands elsewhere
        key = f"file:{Path(key.removeprefix('file:')).expanduser().absolute()}"
    models = tuple(providers.model(spec, url=llm.url, key=key, price=price) for spec in llm.models)
    unpriced = [str(model) for model in models if model.price is None]
    if unpriced and llm.cost_cap is not None:
        raise ModelError(
            f"--aqe-llm-cost-cap needs a price, and that of {unpriced[0]} is not known; give "
            "--aqe-llm-price=IN/OUT, dollars per million tokens"
        )
    dollars = None if unpriced else COST_CAP if llm.cost_cap is None else llm.cost_cap
    return Setup(models, Caps(llm.token_cap, dollars), llm.timeout, llm.time_cap)
