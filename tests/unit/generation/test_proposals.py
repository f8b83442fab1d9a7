"""Accepted tests become files; nothing that is there is lost."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_aqe.data import Candidate, Gap, Trial, Verdict
from pytest_aqe.errors import AqeError, NotFound
from pytest_aqe.generation import proposals
from pytest_aqe.generation.proposals import Proposal

GAP = Gap("pack/a.py", "f", 1, 2, (2,), (), 1)
PROPOSAL = Proposal(
    "test_aqe_a.py", "pack/a.py", "tests", ("pack/a.py::f:1",), ("offline",), ("test_f",), 1, 0, 2,
    2, "Landlock 7", "run", "abc",
)  # fmt: skip
TEXT = "from pack.a import f\n\n\ndef test_f():\n    assert f() == 1\n"


def trial(text: str) -> Trial:
    return Trial(Candidate(GAP, text, "offline"), Verdict("accepted"), text)


def test_modules_are_merged_and_names_stay_apart() -> None:
    """Imports once and sorted; a test of a taken name gets a number; docstrings go."""
    text, tests = proposals.merged(
        [
            '"""One."""\nimport math\nimport pytest\nfrom pack.a import f\n\n\n'
            "@pytest.mark.parametrize('x', [1])\ndef test_f(x):\n    assert f(x) == math.pi\n",
            "from pack.a import f, g\n\n\ndef test_f():\n    assert f() == g()\n",
            "from pack.a import g\n\n\n"
            "class TestG:\n    def test_g(self):\n        assert g() == 1\n",
        ]
    )
    assert tests == [{"test_f": "test_f"}, {"test_f": "test_f_2"}, {"TestG.test_g": "TestG.test_g"}]
    assert text.startswith("import math\n\nimport pytest\n\nfrom pack.a import f, g\n")
    assert [node.name for node in ast.parse(text).body if hasattr(node, "name")] == [
        "test_f",
        "test_f_2",
        "TestG",
    ]


def test_helpers_of_one_name_need_files_of_their_own() -> None:
    one = "A = 1\ndef test_a(): assert A\n"
    two = "A = 2\ndef test_b(): assert A\n"
    same = "A = 1\ndef test_c(): assert A\n"
    assert proposals.bundled([one, two, same]) == [[0, 2], [1]]


@pytest.mark.parametrize(
    "one, two, fit",
    [
        ("from a import f", "from a import f, g", True),
        ("from a import f", "from b import f", False),
        ("from a import f", "def f(): pass", False),
        ("import a.b", "import a.c", True),
        ("import a.b as f", "import a.c as f", False),
        ("from . import f", "from .. import f", False),
    ],
)
def test_an_import_may_mean_another_thing(one: str, two: str, fit: bool) -> None:
    assert len(proposals.bundled([one, two])) == (1 if fit else 2)


@pytest.mark.parametrize(
    "mutants, killed, said",
    [
        (2, 2, "# aqe: 2 of 2 faults put there noticed"),
        (0, 0, "# aqe: no fault could be put there to see whether a test notices"),
    ],
)
def test_a_file_claims_what_was_measured(mutants: int, killed: int, said: str) -> None:
    header = proposals.header(replace(PROPOSAL, mutants=mutants, killed=killed))
    assert said in header.splitlines()
    assert "notices a fault" not in header


def test_one_is_no_plural() -> None:
    one = replace(PROPOSAL, branches=1)
    assert one.summary == "1 test of pack/a.py by offline: 1 line and 1 branch more"
    assert "# aqe: 1 line and 1 branch that nothing else ran" in proposals.header(one)


def test_a_proposal_is_written_found_applied_and_dropped(tmp_path: Path) -> None:
    folder = tmp_path / ".aqe"
    path = proposals.write(folder, PROPOSAL, TEXT)
    assert proposals.proposals(folder) == [PROPOSAL]
    assert proposals.named(folder, "a") == proposals.named(folder, "pack/a.py") == PROPOSAL
    assert "what the code does" in path.read_text("utf-8")
    applied = proposals.apply(folder, tmp_path, PROPOSAL)
    assert applied == tmp_path / "tests" / "test_aqe_a.py"
    assert proposals.proposals(folder) == []
    proposals.write(folder, PROPOSAL, TEXT)
    assert proposals.apply(folder, tmp_path, PROPOSAL).name == "test_aqe_a_2.py"
    with pytest.raises(NotFound):
        proposals.named(folder, "a")


def test_no_two_applied_files_have_one_name(tmp_path: Path) -> None:
    """Two test modules of one name cannot be collected together, whatever folders they are in."""
    for place, name in (("one", "test_aqe_a.py"), ("two", "test_aqe_a_2.py")):
        proposals.write(tmp_path / ".aqe", replace(PROPOSAL, place=place), TEXT)
        applied = proposals.apply(tmp_path / ".aqe", tmp_path, replace(PROPOSAL, place=place))
        assert applied == tmp_path / place / name


def test_what_is_no_proposal_is_passed_over(tmp_path: Path) -> None:
    """A broken description, or one without its file."""
    place = tmp_path / proposals.FOLDER
    place.mkdir()
    (place / "test_aqe_a.json").write_text("{", "utf-8")
    (place / "test_aqe_b.json").write_text("{}", "utf-8")
    assert proposals.proposals(tmp_path) == []


def test_a_proposal_cannot_leave_the_project(tmp_path: Path) -> None:
    from dataclasses import replace

    from pytest_aqe.errors import AqeError

    outside = replace(PROPOSAL, place="../../etc")
    proposals.write(tmp_path / ".aqe", outside, TEXT)
    with pytest.raises(AqeError, match="outside"):
        proposals.apply(tmp_path / ".aqe", tmp_path, outside)


def test_a_test_goes_where_the_nearest_test_is(tmp_path: Path) -> None:
    def place(tests: Sequence[str], testpaths: Sequence[str]) -> str:
        found = proposals.place_of(tmp_path, tmp_path / "src" / "a.py", tests, testpaths)
        return found.relative_to(tmp_path).as_posix()

    for name in ("src", "tests", "spec"):
        (tmp_path / name).mkdir()
    assert place(["tests/unit/test_a.py::t", "test_b.py::t"], []) == "tests/unit"
    assert place([], ["spec"]) == "spec"
    assert place([], ["nowhere"]) == "tests"
    assert place([], ["src", "spec"]) == "spec"  # tests are not written beside the code
    assert place([], ["src"]) == "src"  # unless pytest looks for tests nowhere else
    (tmp_path / "tests").rmdir()
    assert place([], []) == "."


def test_names_say_what_is_tested() -> None:
    assert proposals.file_name("pack.cli.look") == "test_aqe_cli_look.py"
    assert proposals.file_name("single", 2) == "test_aqe_single_2.py"


def test_what_cannot_be_written_whole_is_not_left_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: half a module would end the user's next session."""
    proposals.write(tmp_path / ".aqe", PROPOSAL, TEXT)
    write_text = Path.write_text

    def write_half(path: Path, text: str, encoding: str) -> None:
        write_text(path, text[: len(text) // 2], encoding)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(AqeError, match="No space left on device"):
        proposals.apply(tmp_path / ".aqe", tmp_path, PROPOSAL)
    assert not (tmp_path / "tests" / "test_aqe_a.py").exists()
    assert proposals.proposals(tmp_path / ".aqe") == [PROPOSAL]
