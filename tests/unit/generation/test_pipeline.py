"""From a gap to a verdict: who is asked what, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_aqe.data import Candidate, Gap, Target, Trial, Verdict
from pytest_aqe.generation.pipeline import REPAIRS, Pipeline

GAP = Gap("a.py", "f", 1, 2, (2,), (), 1)
TARGET = Target(Path(), Path(), Path("a.py"), "a", "", (GAP,), frozenset(), frozenset(), (), Path())


class Scripted:
    """An author that offers texts one after another."""

    name = "scripted"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def author(self, gap: Gap, target: Target) -> Sequence[Candidate]:
        return [Candidate(gap, self.texts.pop(0), self.name)] if self.texts else []

    def repair(self, trials: Sequence[Trial], target: Target) -> Sequence[Candidate]:
        return [
            trial.candidate._replace(text=self.texts.pop(0), attempt=trial.candidate.attempt + 1)
            for trial in trials
            if self.texts
        ]


def judge(candidates: Sequence[Candidate], target: Target) -> list[Trial]:
    """Accept what is called good, take what is called bug for one."""
    verdicts = {"good": Verdict("accepted"), "bug": Verdict("bug", "run", "1 is not 2")}
    return [
        Trial(each, verdicts.get(each.text, Verdict("rejected", "run", "no")), each.text)
        for each in candidates
    ]


def outcomes(*texts: str, veto: str = "") -> list[tuple[str, str, int]]:
    pipeline = Pipeline(
        lambda gap, target, author: author.author(gap, target), judge, lambda trial: [veto]
    )
    trials = pipeline.run([GAP], TARGET, Scripted(*texts))
    return [(each.text, each.verdict.outcome, each.candidate.attempt) for each in trials]


def test_an_author_without_an_idea_costs_no_trial() -> None:
    assert outcomes() == []


def test_what_is_refused_is_repaired_a_few_times() -> None:
    assert outcomes("bad", "good") == [("bad", "rejected", 0), ("good", "accepted", 1)]
    assert len(outcomes(*["bad"] * 9)) == REPAIRS + 1


def test_a_bug_is_never_rewritten_to_pass() -> None:
    assert outcomes("bug", "good") == [("bug", "bug", 0)]


def test_any_reason_of_a_reviewer_is_a_veto() -> None:
    trials = outcomes("good", veto="it says nothing")
    assert trials == [("good", "rejected", 0)]
