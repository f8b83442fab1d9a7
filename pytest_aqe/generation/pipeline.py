"""From a gap to tests that proved themselves: author, trial, repair, review.

An author never judges and a trial never writes. Both come in as functions, so that what
asks other plugins, keeps rows or shows progress stays with the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_aqe.data import Author, Candidate, Gap, Target, Trial

REPAIRS = 2  # after the first try: 60, 27 and 12 % of successes need 1, 2, 3 (CoverUp, FSE'25)

Write = Callable[[Gap, Target, Author], Sequence[Candidate]]
Judge = Callable[[Sequence[Candidate], Target], Sequence[Trial]]
Review = Callable[[Trial], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps: ``write`` asks an author, ``judge`` tries, ``review`` returns vetoes."""

    write: Write
    judge: Judge
    review: Review

    def run(self, gaps: Sequence[Gap], target: Target, author: Author) -> list[Trial]:
        """Let one author write for gaps of one target; return every trial, repairs included."""
        candidates = self.written(gaps, target, author)
        tried = self.judge(candidates, target) if candidates else ()
        return self.finished(tried, target, author)

    def written(self, gaps: Sequence[Gap], target: Target, author: Author) -> list[Candidate]:
        """Return what an author writes for gaps of one target.

        Candidates of a file are tried together: an interpreter for each would cost more
        than everything else.
        """
        return [each for gap in gaps for each in self.write(gap, target, author)]

    def finished(self, tried: Sequence[Trial], target: Target, author: Author) -> list[Trial]:
        """Review first trials, let what was refused be repaired; return every trial."""
        trials = self.reviewed(tried)
        for _ in range(REPAIRS):
            closed = {trial.candidate.gap.id for trial in trials if trial.accepted}
            refused = [
                trial
                for trial in trials[-len(tried) :]
                if trial.verdict.outcome == "rejected" and trial.candidate.gap.id not in closed
            ]
            candidates = author.repair(refused, target) if refused else ()
            if not candidates:
                break
            tried = self.judge(candidates, target)
            trials += self.reviewed(tried)
        return trials

    def reviewed(self, tried: Sequence[Trial]) -> list[Trial]:
        """Review trials, and let nothing be repaired."""
        return [self._reviewed(each) for each in tried]

    def _reviewed(self, trial: Trial) -> Trial:
        if not trial.accepted:
            return trial
        vetoes = [reason for reason in self.review(trial) if reason]
        if not vetoes:
            return trial
        return trial.rejected("review", "; ".join(vetoes))
