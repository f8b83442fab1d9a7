"""The author that asks a model, and the reviewer and explainer beside it.

The first gap of a target asks for all of them at once: a fan-out, answered in parallel. A
refused candidate is repaired from the trial's own words, as often as the pipeline asks. What was
tried and refused is remembered under ``aqe/refused/``, so that the next session's prompt says
so, until the code changes; which tests were shown as examples is told, with what came of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pytest_aqe.data import Candidate, Gap, NodeId, Target, Trial
from pytest_aqe.generation import context, prompts, reply
from pytest_aqe.generation.context import Context, Tree
from pytest_aqe.generation.correspondence import Correspondence
from pytest_aqe.generation.memory import Memory
from pytest_aqe.generation.questions import Question, Reply, Role

PARTITION = "refused"
REMEMBERED = 5  # refusals a gap: the next prompt lists them all
EXPLAINED = 500  # characters of what an explainer says
REMEMBER_FOR = timedelta(days=30)

_OBJECTIONS = {
    "bug_in_code": "it would protect a bug",
    "wrong_test": "it is not worth keeping",
}
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
        self.unanswered: set[str] = set()
        """Gaps, by id, for which the model gave no answer: nothing was tried in vain."""
        self.name = str(correspondence.setup.models[model])

    def author(self, gap: Gap, target: Target) -> Sequence[Candidate]:
        """Return the model's tests for a gap; none where it gave no answer."""
        if gap.id not in self._written:
            self._fan_out([gap, *(other for other in target.gaps if other.id != gap.id)], target)
        return self._written.get(gap.id, ())

    def repair(self, trials: Sequence[Trial], target: Target) -> Sequence[Candidate]:
        """Return other tries, from what the trial said; asked for all at once.

        What failed on a value is shown to the reviewer first: where it believes in the test, the
        same text is tried again as the proof of a bug, and is not rewritten until it passes.
        """
        trials = [trial for trial in trials if not trial.candidate.bug]
        bugs = self._bugs([trial for trial in trials if _failed_on_a_value(trial)], target)
        wrong = [trial for trial in trials if trial.candidate.text not in bugs]
        asked = [self._about(trial, target, "repairer", prompts.repairer) for trial in wrong]
        replies = self._correspondence.ask(asked, self._files(wrong, target))
        found = [
            trial.candidate._replace(bug=bug, attempt=trial.candidate.attempt + 1)
            for trial in trials
            if (bug := bugs.get(trial.candidate.text))
        ]
        for trial, question in zip(wrong, asked, strict=True):
            old = trial.candidate
            repaired = self._candidate(old.gap, question, replies[question.id])
            if repaired is not None and repaired.text != old.text:
                found.append(repaired._replace(attempt=old.attempt + 1))
        return found

    def _bugs(self, trials: Sequence[Trial], target: Target) -> dict[str, str]:
        """Return what is wrong with the code, by the text of the test that shows it.

        The reviewer decides what is believed, the explainer says it to people.
        """
        asked = [self._about(trial, target, "reviewer", prompts.reviewer) for trial in trials]
        replies = self._correspondence.ask(asked, self._files(trials, target))
        believed: list[tuple[str, Question, str]] = []
        for trial, question in zip(trials, asked, strict=True):
            data = replies[question.id].data
            if data is not None and data["verdict"] == "bug_in_code":
                explained = self._about(trial, target, "explainer", prompts.reviewer)
                believed.append((trial.candidate.text, explained, str(data["reason"])))
        replies = self._correspondence.ask([question for _, question, _ in believed])
        found: dict[str, str] = {}
        for text, question, reason in believed:
            told = replies[question.id].data
            why = reason if told is None else str(told["summary"])
            found[text] = " ".join(why.split())[:EXPLAINED] or "the reviewer gave no reason"
        return found

    def objections(self, trial: Trial, target: Target, reviewers: int) -> list[str]:
        """Return why most of a panel would not keep an accepted test; nothing where they would.

        Each of the ``reviewers`` answers on its own. Who gives no answer does not object.
        """
        gap = trial.candidate.gap
        found = self._shelf.context(gap, target)
        text = prompts.panelist(found, trial)
        panel = [
            replace(self._question("reviewer", text, sample), system=prompts.PANELIST)
            for sample in range(reviewers)
        ]
        replies = self._correspondence.ask(panel, found.files)
        said = [data for question in panel if (data := replies[question.id].data) is not None]
        against = [data for data in said if data["verdict"] in _OBJECTIONS]
        if len(against) * 2 <= reviewers:
            return []
        reason = " ".join(str(against[0]["reason"]).split())[:EXPLAINED]
        what = _OBJECTIONS[against[0]["verdict"]]
        return [f"{len(against)} of {reviewers} reviewers: {what} ({reason})"]

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
                (gap, self._question("author", text, sample)) for sample in range(self._samples)
            ]
        replies = self._correspondence.ask([question for _, question in questions], files)
        for gap, question in questions:
            written = self._written.setdefault(gap.id, [])
            if replies[question.id].error is not None:
                self.unanswered.add(gap.id)
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

    def _about(
        self, trial: Trial, target: Target, role: Role, write: Callable[[Context, Trial], str]
    ) -> Question:
        """Return a question about a refused candidate."""
        text = write(self._shelf.context(trial.candidate.gap, target), trial)
        return self._question(role, text)

    def _question(self, role: Role, text: str, sample: int = 0) -> Question:
        self._numbers += 1
        number = f"{self._model}.{self._numbers}"
        system, most = prompts.SYSTEM[role], prompts.MAX_TOKENS[role]
        return Question(number, self._model, role, system, text, most, sample)

    def _files(self, trials: Sequence[Trial], target: Target) -> list[str]:
        gaps = [trial.candidate.gap for trial in trials]
        return [file for gap in gaps for file in self._shelf.context(gap, target).files]

    def _earlier(self, gap: Gap, target: Target) -> list[str]:
        """Return why earlier tries were refused, where the code is still what it was."""
        known = self._shelf.memory.retrieve(_key(gap), partition=PARTITION)
        if not isinstance(known, dict) or known.get("code") != _code(gap, target):
            return []
        return [str(line) for line in known.get("refused", ())]


def _failed_on_a_value(trial: Trial) -> bool:
    said = f"{trial.verdict.reason}\n{trial.output}"
    return trial.verdict.stage == "run" and any(word in said for word in _FAILED_ON_ITS_VALUE)


def _key(gap: Gap) -> str:
    return f"aqe/refused/{gap.id}"


def _code(gap: Gap, target: Target) -> str:
    """Return a hash of the code of a gap."""
    return _hash("\n".join(target.source.splitlines()[gap.line - 1 : gap.end]))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
