"""What a decision guarantees whatever the tests: nobody is lost, nobody runs without a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.learning.impact import (
    Because,
    Decision,
    Known,
    decide,
    shown,
    told_apart,
    upper_bound,
)

RUNS = st.integers(1, 4)
FILES = st.sampled_from(["src/a.py", "data/b.json", "tests/test_c.py"])
TESTS = st.lists(
    st.builds(
        Known,
        identity=st.integers(0, 40).map("t.py::test_{}".format),
        clean=st.lists(RUNS, unique=True, max_size=3).map(tuple),
        piece=st.sampled_from([None, ("src/a.py", "f"), ("src/a.py", "<module>")]),
        doubt=st.sampled_from([(), ("subprocess",), ("thread", "ctypes")]),
        globs=st.sampled_from([None, (), ("data/*",), ("*.py",)]),
    ),
    unique_by=lambda test: test.identity,
    max_size=30,
)
DIFFERING = st.dictionaries(RUNS, st.lists(FILES, max_size=2), max_size=4)


def known(name: str = "test", **changes: Any) -> Known:
    """Return a test that nothing reached, unless told otherwise."""
    given = {"clean": (1,), "piece": None, "doubt": (), "globs": None, **changes}
    return Known(f"t.py::{name}", **given)


def decided(tests: Sequence[Known], **changes: Any) -> Decision:
    """Decide with nothing failed, nothing different and no probe, unless told otherwise."""
    given: dict[str, Any] = {
        "failed": (),
        "differing": {},
        "since_base": (),
        "probe": 0.0,
        "seed": "0",
    }
    return decide(tests, **(given | changes))


def kind(test: Known, **changes: Any) -> str | None:
    """Return why one test runs, or None when it is left out."""
    because = decided([test], **changes).runs.get(test.identity)
    return because.kind if because else None


class TestDecide:
    @given(TESTS, st.data(), DIFFERING, st.lists(FILES, max_size=1), st.floats(0, 1))
    def test_every_known_test_runs_or_is_left_out(
        self,
        tests: list[Known],
        data: st.DataObject,
        differing: dict[int, list[str]],
        since_base: list[str],
        probe: float,
    ) -> None:
        """Each is in exactly one of the two; what failed last is never left out."""
        names = [test.identity for test in tests]
        failed = set(data.draw(st.lists(st.sampled_from(names)))) if names else set()
        decision = decided(
            tests, failed=failed, differing=differing, since_base=since_base, probe=probe
        )
        assert decision.runs.keys() | decision.left_out == set(names)
        assert not decision.runs.keys() & decision.left_out
        assert failed <= decision.runs.keys()

    @given(TESTS, DIFFERING)
    def test_who_is_left_out_has_a_clean_run(
        self, tests: list[Known], differing: dict[int, list[str]]
    ) -> None:
        """Without a run since which nothing it uses has changed, a test runs."""
        decision = decided(tests, differing=differing)
        clean = {test.identity for test in tests if test.clean}
        assert decision.left_out <= clean

    @given(TESTS, DIFFERING, st.floats(0, 1), st.integers())
    def test_a_probe_only_adds(
        self, tests: list[Known], differing: dict[int, list[str]], probe: float, seed: int
    ) -> None:
        """Who runs without a probe runs with one too, for the same reason."""
        without = decided(tests, differing=differing)
        with_it = decided(tests, differing=differing, probe=probe, seed=str(seed))
        assert without.runs.items() <= with_it.runs.items()
        added = with_it.runs.keys() - without.runs.keys()
        assert {with_it.runs[name].kind for name in added} <= {"probe"}

    def test_failed_is_said_before_affected(self) -> None:
        """A test that failed last and is affected counts as failed."""
        assert kind(known(clean=()), failed={"t.py::test"}) == "failed"

    def test_one_clean_run_is_enough(self) -> None:
        """A test that passed with this very code on some branch is left out."""
        assert kind(known(clean=(3,), piece=("src/a.py", "f"))) is None

    def test_in_doubt_and_nothing_changed(self) -> None:
        """A test that cannot be followed is left out only when nothing at all differs."""
        test = known(doubt=("subprocess",))
        assert kind(test, differing={1: []}) is None
        assert kind(test, differing={1: ["README.md"]}) == "doubt"
        assert kind(test, since_base=["README.md"]) == "doubt"

    def test_in_doubt_since_one_run_but_not_since_another(self) -> None:
        """The run that saw everything as it is now settles the doubt."""
        test = known(doubt=("thread",), clean=(2, 1))
        assert kind(test, differing={2: ["a.txt"], 1: []}) is None
        assert kind(test, differing={2: ["a.txt"], 1: ["b.txt"]}) == "doubt"

    @pytest.mark.parametrize(
        ("globs", "expected"),
        [((), None), (("data/*",), "doubt"), (("*.toml", "*.json"), "doubt"), (("src/*",), None)],
    )
    def test_what_aqe_depends_names(self, globs: tuple[str, ...], expected: str | None) -> None:
        """A doubt that is narrowed to globs is one only when a file of theirs changed."""
        test = known(doubt=("subprocess",), globs=globs)
        assert kind(test, differing={1: ["data/b.json"]}) == expected

    @pytest.mark.parametrize(
        ("test", "changed"),
        [
            (known(clean=()), True),
            (known(), False),
            (known(doubt=("always",)), False),
            (known(doubt=("thread",)), True),
            (known(clean=(), doubt=("always",)), True),
        ],
    )
    def test_what_changed_is_told_whatever_a_test_runs_for(
        self, test: Known, changed: bool
    ) -> None:
        """Code that differs from every pass does so for a test that failed last, too."""
        for failed in ((), (test.identity,)):
            decision = decided([test], failed=failed, differing={1: ["src/a.py"]})
            assert decision.changed == ({test.identity} if changed else set())

    def test_globs_do_not_excuse_what_was_followed(self) -> None:
        """A test whose code changed runs whatever its mark says."""
        assert kind(known(clean=(), globs=(), doubt=("subprocess",))) == "affected"


class TestProbe:
    TESTS = [known(f"test_{number}") for number in range(2000)]  # noqa: RUF012  # read only

    def drawn(self, probe: float, seed: str = "0") -> set[str]:
        """Return who is probed."""
        return set(decided(self.TESTS, differing={1: ["a"]}, probe=probe, seed=seed).runs)

    def test_nothing_is_probed_when_nothing_changed(self) -> None:
        """A run of the same files again measures nothing."""
        assert not decided(self.TESTS, differing={1: []}, probe=1.0).runs

    def test_what_is_affected_has_changed(self) -> None:
        """That some test is affected is change enough, whatever file it is by."""
        tests = [*self.TESTS, known("affected", clean=())]
        assert len(decided(tests, differing={1: []}, probe=1.0).runs) == len(tests)

    def test_the_whole_share_and_none(self) -> None:
        """A share of 1 probes every test that could be left out, a share of 0 none."""
        assert len(self.drawn(1.0)) == len(self.TESTS)
        assert not self.drawn(0.0)

    @given(st.integers(0, 10**6))
    def test_the_share_is_kept(self, seed: int) -> None:
        """Of 2,000 tests at 10 %, 200 are drawn, give or take six standard deviations."""
        assert abs(len(self.drawn(0.1, str(seed))) - 200) <= 6 * (2000 * 0.1 * 0.9) ** 0.5

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_a_larger_share_keeps_who_was_drawn(self, one: float, other: float) -> None:
        """Under one seed, a larger share draws the same tests and more."""
        small, large = sorted((one, other))
        assert self.drawn(small) <= self.drawn(large)

    def test_another_seed_draws_others(self) -> None:
        """The seed, and nothing else, decides who is drawn."""
        assert self.drawn(0.1, "a") == self.drawn(0.1, "a") != self.drawn(0.1, "b")


class TestToldApart:
    AFFECTED = Because("affected", "src/a.py changed")

    def test_who_runs_for_another_reason_is_not_affected(self) -> None:
        """Failing last, being in doubt and being drawn say nothing of the change."""
        others = {kind: Because(kind, "") for kind in ("failed", "doubt", "always", "probe")}
        decision = Decision({"t.py::hit": self.AFFECTED, **others}, frozenset({"t.py::out"}))
        assert told_apart(decision) == {"t.py::hit"}

    @pytest.mark.parametrize(("left_out", "expected"), [(1, 1), (0, 0)])
    def test_a_change_of_most_tells_nothing_apart(self, left_out: int, expected: int) -> None:
        """Half of the suite is still told apart, more is not."""
        out = frozenset(f"t.py::out{number}" for number in range(left_out))
        assert len(told_apart(Decision({"t.py::hit": self.AFFECTED}, out))) == expected

    def test_without_a_decision(self) -> None:
        """Where selection cannot say, nothing is affected."""
        assert told_apart(None) == frozenset()


class TestUpperBound:
    def test_unmeasured_is_none(self) -> None:
        """Without a failure nothing was measured."""
        assert upper_bound(0, 0) is None

    @given(st.integers(1, 5000))
    def test_without_an_escape(self, failures: int) -> None:
        """With no escape the limit is 1 - 0.05 ** (1 / n)."""
        assert upper_bound(0, failures) == pytest.approx(1 - 0.05 ** (1 / failures), abs=1e-9)

    @given(st.integers(1, 60), st.data())
    def test_the_limit_is_where_so_few_are_seen_once_in_twenty(
        self, failures: int, data: st.DataObject
    ) -> None:
        """At the limit, at most so many escapes have a probability of 0.05 (Clopper-Pearson)."""
        from math import comb

        escaped = data.draw(st.integers(0, failures - 1))
        limit = upper_bound(escaped, failures)
        assert limit is not None
        assert escaped / failures < limit < 1
        seen = sum(
            comb(failures, each) * limit**each * (1 - limit) ** (failures - each)
            for each in range(escaped + 1)
        )
        assert seen == pytest.approx(0.05, abs=1e-6)

    @given(st.integers(0, 50), st.integers(1, 50))
    def test_more_escapes_more_doubt_more_failures_less(self, escaped: int, more: int) -> None:
        """The limit rises with every escape and falls with every failure that was caught."""
        failures = escaped + more
        limit = upper_bound(escaped, failures)
        with_escape = upper_bound(escaped + 1, failures)
        with_failure = upper_bound(escaped, failures + 1)
        assert limit is not None
        assert with_escape is not None
        assert with_failure is not None
        assert with_failure < limit < with_escape

    def test_all_escaped(self) -> None:
        """When every failure escaped, the limit is everything."""
        assert upper_bound(3, 3) == 1.0


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        (("src/a.py", "C.m"), "src/a.py::C.m changed"),
        (("src/a.py", "<module>"), "src/a.py changed"),
        (("data/b.json", ""), "data/b.json changed"),
        (("<package>/numpy", ""), "numpy changed"),
        (("<environ>/TZ", ""), "TZ changed"),
    ],
)
def test_a_piece_is_shown_to_people(piece: tuple[str, str], text: str) -> None:
    """Functions by file and name, everything else by what it is called."""
    assert shown(piece) == text


def test_what_a_piece_notices_comes_first() -> None:
    """The piece itself stays what it was."""
    text = shown(("src/a.py", "f"), "src/b.py")
    assert text == "src/b.py changed, which src/a.py::f may use"


class TestHidden:
    def test_what_is_hidden_is_seen_by_who_names_it(self) -> None:
        """A document concerns a test in doubt only when `aqe_depends` names it."""
        changes: dict[str, Any] = {"differing": {1: ["docs/a.md"]}, "hidden": {"docs/a.md"}}
        assert kind(known(doubt=("thread",)), **changes) is None
        assert kind(known(doubt=("thread",), globs=("docs/*",)), **changes) == "doubt"
        assert kind(known(doubt=("thread",), globs=("data/*",)), **changes) is None

    def test_what_a_test_names_matters_without_a_doubt(self) -> None:
        """Whoever says that a file matters is believed, whatever could be followed."""
        assert kind(known(globs=("docs/*",)), differing={1: ["docs/a.md"]}) == "doubt"
        assert kind(known(globs=("docs/*",)), differing={1: ["src/a.py"]}) is None

    def test_nothing_is_probed_for_what_is_hidden(self) -> None:
        """Where only hidden files differ, nothing changed."""
        changes: dict[str, Any] = {"differing": {1: ["docs/a.md"]}, "probe": 1.0}
        assert kind(known(), **changes) == "probe"
        assert kind(known(), **changes, hidden={"docs/a.md"}) is None
