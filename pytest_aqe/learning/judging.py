"""What selection would have done in this run, judged by what really happened."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_aqe.data import FAILING, Identity, Result, Rollup, Selection
from pytest_aqe.learning.impact import Decision


class Judge:
    """Compare outcomes with a decision that was made before them.

    In a full run every test shows what leaving it out would have meant. In a selected run
    only the probes do.
    """

    def __init__(
        self, mode: str, prefix: str, decision: Decision, tests: Mapping[Identity, Rollup]
    ) -> None:
        self._mode = mode
        self._prefix = prefix
        self._decision = decision
        self._tests = tests
        self._failed: dict[Identity, bool] = {}
        self._retried: set[Identity] = set()
        self._seconds: dict[Identity, float] = {}

    def take(self, result: Result) -> None:
        """Take one attempt; the last one of a test decides."""
        identity = result.identity or self._prefix + result.node_id
        failed = result.outcome in FAILING
        if result.attempt and self._failed.get(identity):
            self._retried.add(identity)
        self._failed[identity] = failed
        seconds = [
            each for each in (result.setup, result.call, result.teardown) if each is not None
        ]
        if seconds:
            self._seconds[identity] = self._seconds.get(identity, 0.0) + sum(seconds)

    def verdict(self, not_run: int = 0) -> Selection:
        """Count; unstable are failures left out of tests seen to change by themselves.

        ``not_run`` tests were left out. What else did not run (it is gone, or was not asked
        for) says nothing.
        """
        runs, left_out = self._decision.runs, self._decision.left_out
        known = (runs.keys() | left_out) & self._failed.keys()
        chosen = {name for name in known if name in runs and runs[name].kind != "probe"}
        failures = {name for name, failed in self._failed.items() if failed and name in known}
        escaped = failures - chosen
        measured = [name for name in self._seconds if name in known]
        return Selection(
            mode=self._mode,
            known=len(known) + not_run,
            selected=len(chosen),
            seconds=sum(self._seconds[name] for name in measured) if measured else None,
            selected_seconds=(
                sum(self._seconds[name] for name in measured if name in chosen)
                if measured
                else None
            ),
            failures=len(failures),
            caught=len(failures - escaped),
            escaped=len(escaped),
            unstable=sum(self._is_unstable(name) for name in escaped),
        )

    def _is_unstable(self, identity: Identity) -> bool:
        known = self._tests.get(identity)
        if identity in self._retried:
            return True
        return known is not None and (known.flagged or known.flaked > 0)
