"""The author that asks a model, and the reviewer and explainer beside it.

The first gap of a target asks for all of them at once: a fan-out, answered in parallel. A
refused candidate is repaired from the trial's own words, as often as the pipeline asks. What was
tried and refused is remembered under ``aqe/refused/``, so that the next session's prompt says
so, until the code changes; which tests were shown as examples is told, with what came of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pytest_aqe.data import Candidate, Gap, NodeId, Target, Trial
from pytest_aqe.generation import context, prompts, reply
from pytest_aqe.generation.context import Context, Tree
from pytest_aqe.generation.correspondence import Correspondence
from pytest_aqe.generation.memory import Memory
from pytest_aqe.generation.questions import Question, Reply

PARTITION = "refused"
REMEMBERED = 5  # refusals a gap: the next prompt lists them all
REMEMBER_FOR = timedelta(days=30)

_FAILED_ON_ITS_VALUE = ("AssertionError", "assert ", "DID NOT RAISE")


@dataclass(slots=True)
class Shelf:
    """What the authors of a session share: memory, the project's files, what helped before.

    ``used`` is told which examples a gap's prompt showed, and whether a test came of it.
    """

    memory: Memory
    preferred: Sequence[NodeId] = ()
    used: Callable[[Mapping[str, Any]], None] = lambda _: None
    contexts: dict[tuple[str, str], Context] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)

    def context(self, gap: Gap, target: Target) -> Context:
        """Return what is shown for a gap, built once."""
        key = gap.id, _hash(target.source)
        if key not in self.contexts:
            tree = self.trees.setdefault(str(target.root), Tree(target.root))
            self.contexts[key] = context.build(gap, target, self.preferred, tree)
        return self.contexts[key]


class ModelAuthor:
    """One model as an author; several may share a correspondence, the cheap one first."""

    def __init__(
        self, correspondence: Correspondence, shelf: Shelf, *, model: int = 0, samples: int = 1
    ) -> None:
        self._correspondence = correspondence
        self._shelf = shelf
        self._model = model
        self._samples = samples
        self._written: dict[str, list[Candidate]] = {}
        self._numbers = 0
        self.name = str(correspondence.setup.models[model])

    def author(self, gap: Gap, target: Target) -> Sequence[Candidate]:
        """Return the model's tests for a gap; none where it gave no answer."""
        if gap.id not in self._written:
            self._fan_out([gap, *(other for other in target.gaps if other.id != gap.id)], target)
        return self._written.get(gap.id, ())

    def repair(self, trial: Trial, target: Target) -> Candidate | None:
        """Return the model's other try, from what the trial said; None where it has none."""
        gap = trial.candidate.gap
        found = self._shelf.context(gap, target)
        text = prompts.repairer(found, trial)
        question = self._question("repairer", prompts.REPAIRER, text, prompts.AUTHOR_TOKENS)
        answer = self._correspondence.ask([question], found.files)[question.id]
        repaired = self._candidate(gap, question, answer)
        if repaired is None or repaired.text == trial.candidate.text:
            return None
        return repaired

    def suspect(self, trial: Trial, target: Target) -> str | None:
        """Return why a refused candidate may have found a bug, for people; None where not.

        Asked before a repair: a test that is right about wrong code must not be rewritten
        until it passes. Only what failed on a value is asked about.
        """
        said = f"{trial.verdict.reason}\n{trial.output}"
        if trial.verdict.stage != "run" or not any(word in said for word in _FAILED_ON_ITS_VALUE):
            return None
        found = self._shelf.context(trial.candidate.gap, target)
        text = prompts.reviewer(found, trial)
        question = self._question("reviewer", prompts.REVIEWER, text, prompts.REVIEW_TOKENS)
        answer = self._correspondence.ask([question], found.files)[question.id]
        if answer.data is None or answer.data["verdict"] != "bug_in_code":
            return None
        asked = self._question("explainer", prompts.EXPLAINER, text, prompts.REVIEW_TOKENS)
        told = self._correspondence.ask([asked], found.files)[asked.id]
        why = told.data["summary"] if told.data is not None else answer.data["reason"]
        return " ".join(str(why).split())

    def learn(self, trials: Sequence[Trial], target: Target) -> None:
        """Remember what was refused and why, forget it once a test came of it."""
        for trial in trials:
            gap = trial.candidate.gap
            key = _key(gap)
            if trial.accepted:
                self._shelf.memory.delete(key, partition=PARTITION)
            elif trial.verdict.outcome == "rejected":
                line = f"{trial.verdict.stage or 'trial'}: {trial.verdict.reason}"
                known = [old for old in self._earlier(gap, target) if old != line]
                value = {"code": _code(gap, target), "refused": [*known, line][-REMEMBERED:]}
                self._shelf.memory.store(key, value, partition=PARTITION, ttl=REMEMBER_FOR)
        for gap in {trial.candidate.gap.id: trial.candidate.gap for trial in trials}.values():
            accepted = any(trial.accepted for trial in trials if trial.candidate.gap.id == gap.id)
            for example in self._shelf.context(gap, target).examples:
                self._shelf.used(
                    {
                        "test": example.node_id,
                        "gap_file": gap.file,
                        "gap_name": gap.name,
                        "author": self.name,
                        "accepted": accepted,
                    }
                )

    def _fan_out(self, gaps: Sequence[Gap], target: Target) -> None:
        """Ask for all gaps of a target at once."""
        questions: list[tuple[Gap, Question]] = []
        files: list[str] = []
        for gap in gaps:
            if gap.id in self._written:
                continue
            found = self._shelf.context(gap, target)
            text = prompts.author(found, self._earlier(gap, target))
            files += found.files
            questions += [
                (
                    gap,
                    self._question("author", prompts.AUTHOR, text, prompts.AUTHOR_TOKENS, sample),
                )
                for sample in range(self._samples)
            ]
        replies = self._correspondence.ask([question for _, question in questions], files)
        for gap, question in questions:
            written = self._written.setdefault(gap.id, [])
            candidate = self._candidate(gap, question, replies[question.id])
            if candidate is not None and all(one.text != candidate.text for one in written):
                written.append(candidate)

    def _candidate(self, gap: Gap, question: Question, answer: Reply) -> Candidate | None:
        """Return a candidate from a reply; one without code stays as it is, to be refused."""
        if answer.text is None:
            return None
        code, _ = reply.module(answer.text, cut=answer.cut)
        return Candidate(
            gap=gap,
            text=answer.text if code is None else code,
            author=self.name,
            model=True,
            origin=question.role,
            prompt=question.key(self._correspondence.setup.models[question.model]),
            tokens_in=answer.input_tokens,
            tokens_out=answer.output_tokens,
            cost=answer.dollars,
        )

    def _question(
        self, role: Any, system: str, text: str, max_tokens: int, sample: int = 0
    ) -> Question:
        self._numbers += 1
        number = f"{self._model}.{self._numbers}"
        return Question(number, self._model, role, system, text, max_tokens, sample)

    def _earlier(self, gap: Gap, target: Target) -> list[str]:
        """Return why earlier tries were refused, where the code is still what it was."""
        known = self._shelf.memory.retrieve(_key(gap), partition=PARTITION)
        if not isinstance(known, dict) or known.get("code") != _code(gap, target):
            return []
        return [str(line) for line in known.get("refused", ())]


def _key(gap: Gap) -> str:
    return f"aqe/refused/{gap.id}"


def _code(gap: Gap, target: Target) -> str:
    """Return a hash of the code of a gap."""
    return _hash("\n".join(target.source.splitlines()[gap.line - 1 : gap.end]))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
