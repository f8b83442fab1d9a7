"""Plans on their way to workers, and those that people keep."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.data import Budget, Plan, Rank
from pytest_aqe.errors import AqeError
from pytest_aqe.plans import LONG_PLAN, pack, read_written, unpack, write

NODE_IDS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\x85"), min_size=1
).map("t.py::test_{}".format)
PLANS = st.builds(
    Plan,
    mode=st.sampled_from(["observe", "order", "select"]),
    prefix=st.sampled_from(["", "sub/"]),
    policy=st.none() | st.text(),
    ranks=st.dictionaries(
        NODE_IDS,
        st.builds(
            Rank, st.integers(0, 2), st.floats(0, 9), st.none() | st.floats(0, 9), st.just("")
        ),
    ),
    left_out=st.frozensets(NODE_IDS),
    only=st.dictionaries(NODE_IDS, st.frozensets(NODE_IDS)),
    because=st.dictionaries(NODE_IDS, st.sampled_from(["affected", "probe"])),
    budget=st.none()
    | st.builds(Budget, st.floats(1, 9), st.none())
    | st.builds(Budget, st.none(), st.floats(0, 1)),
    stale=st.lists(NODE_IDS).map(tuple),
    workers=st.integers(1, 9),
    replay=st.none() | st.lists(NODE_IDS).map(tuple),
    tells_rest=st.booleans(),
    tells_order=st.booleans(),
    follows=st.booleans(),
    environ=st.lists(st.text()).map(tuple),
)


def plan(tests: int) -> Plan:
    ranks = {f"t.py::{n}": Rank(2, n / 7, None if n % 2 else 0.1 * n, "") for n in range(tests)}
    return Plan("order", "sub/", "policy", ranks)


@pytest.mark.parametrize("tests", [0, 3, LONG_PLAN + 1])
def test_a_plan_arrives_as_it_was_sent(tmp_path: Path, tests: int) -> None:
    """Short or long, what a worker unpacks is what the controller packed."""
    assert unpack(pack(plan(tests), tmp_path)) == plan(tests)


@given(PLANS)
def test_nothing_of_a_plan_is_lost(sent: Plan) -> None:
    """Every field arrives, also as the JSON that a file holds."""
    wire = pack(sent, None)
    assert unpack(wire) == sent
    assert unpack(json.loads(json.dumps(wire))) == sent


def test_a_long_plan_travels_as_a_file(tmp_path: Path) -> None:
    """Above the limit only a path and a sha256 are sent."""
    assert set(pack(plan(LONG_PLAN + 1), tmp_path)) == {"path", "sha256"}


def test_many_left_out_make_a_long_plan_too(tmp_path: Path) -> None:
    """What does not run is as long a list as what does."""
    sent = Plan("select", "", None, {}, left_out=frozenset(map(str, range(LONG_PLAN + 1))))
    wire = pack(sent, tmp_path)
    assert set(wire) == {"path", "sha256"}
    assert unpack(wire) == sent


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A plan file that is not the one that was sent is not obeyed."""
    wire = pack(plan(LONG_PLAN + 1), tmp_path)
    Path(wire["path"]).write_text("{}")
    with pytest.raises(AqeError, match="is not the plan that was sent"):
        unpack(wire)


@given(st.lists(NODE_IDS), PLANS)
def test_a_written_plan_is_read_as_it_ran(order: list[str], sent: Plan) -> None:
    """Whatever the names of the tests, `read_written` gives back what `write` was given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep" / "plan.json"
        write(path, order, sent, {})
        assert read_written(path) == tuple(order)


@given(st.lists(NODE_IDS))
def test_a_list_of_node_ids_is_a_plan(order: list[str]) -> None:
    """One on each line, as --aqe-rest writes them; empty lines say nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rest.txt"
        path.write_text("\n" + "\n".join(order) + "\n\n", "utf-8")
        assert read_written(path) == tuple(order)


def test_a_written_plan_says_why(tmp_path: Path) -> None:
    """Reasons and what is left out stand beside what runs, sorted for a diff."""
    sent = Plan("select", "", "heuristic", {}, left_out=frozenset({"t.py::c", "t.py::b"}))
    write(tmp_path / "plan.json", ["t.py::a"], sent, {"t.py::a": "src/a.py changed"})
    assert json.loads((tmp_path / "plan.json").read_text("utf-8")) == {
        "format": 1,
        "mode": "select",
        "policy": "heuristic",
        "run": ["t.py::a"],
        "reasons": {"t.py::a": "src/a.py changed"},
        "left_out": ["t.py::b", "t.py::c"],
    }


@pytest.mark.parametrize(
    "text",
    ["{", "{}", '{"format": 2, "run": []}', '{"format": 1}', '{"format": 1, "run": [1]}'],
)
def test_what_is_no_plan_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """Half a plan would run half the tests."""
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(AqeError, match=r"plan\.json is not a plan that --aqe-plan wrote"):
        read_written(path)


def test_what_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    """A file of other bytes names no tests."""
    path = tmp_path / "plan.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AqeError, match="cannot be read"):
        read_written(path)
