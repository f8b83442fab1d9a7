"""The order of the second run: what is likely to fail first, and no fixture more than before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


def _modules(project: Project) -> list[str]:
    """Return the modules of the last run, each as often as it was entered."""
    modules: list[str] = []
    for node_id in project.ran():
        module = node_id.partition(".py")[0]
        if modules[-1:] != [module]:
            modules.append(module)
    return modules


def test_failed_module_first(project: Project) -> None:
    """The module of a test that failed last runs first."""
    project.write(
        test_a="def test_1(): pass\n",
        test_b="def test_1(): pass\n",
        test_c="def test_1(): assert 0\n",
    )
    project.run()
    project.run()
    assert _modules(project)[0] == "test_c"  # of the others the quick one may come first


def test_failed_module_first_under_xdist(project: Project) -> None:
    """With workers, the module that failed last is what they start with."""
    pytest.importorskip("xdist")
    project.write(
        test_a="def test_1(): pass\ndef test_2(): pass\n",
        test_b="def test_1(): pass\ndef test_2(): pass\n",
        test_c="def test_1(): assert 0\ndef test_2(): assert 0\n",
    )
    project.run("-n2")
    project.run("-n2", "--maxschedchunk=1")
    # xdist hands out in portions, two of six tests each, to whichever worker is ready first.
    # Which of the two failing tests leads depends on how long each took.
    assert project.sql(
        "select position from results join nodes using (node_no) "
        "where run_no = 2 and node_id like 'test_c.py%' order by 1"
    ) == [(0,), (1,)]


def test_failed_test_first_in_its_module(project: Project) -> None:
    """Inside a module without shared fixtures, the tests that failed last run first."""
    project.write(test_a="def test_1(): pass\ndef test_2(): pass\ndef test_3(): assert 0\n")
    project.run()
    project.run()
    assert project.ran()[0] == "test_a.py::test_3"


def test_what_a_change_can_have_broken_first(project: Project, workers: Workers) -> None:
    """Before any test has failed, the tests that use what changed say why and run first."""
    run = project.run if workers else project.run_apart
    project.write(
        shop="def price(): return 1\n",
        test_a="def test_1(): pass\ndef test_2(): pass\n",
        test_b="from shop import price\ndef test_1(): assert price() == 1\n",
        test_c="def test_1(): pass\n",
    )
    run(*workers)
    project.write(shop="def price(): return 2\n")
    shown = project.run_apart("--aqe-explain")
    shown.stdout.fnmatch_lines(["1. test_b.py::test_1  no failure in 1 run, uses what changed"])
    run(*(["-n1"] if workers else []))
    assert project.ran()[0] == "test_b.py::test_1"


def test_new_before_known(project: Project) -> None:
    """A module with a new test runs before those that always passed."""
    project.write(test_a="def test_1(): pass\n", test_b="def test_1(): pass\n")
    project.run()
    project.write(test_c="def test_1(): pass\n")
    project.run()
    assert _modules(project)[0] == "test_c"


def test_a_test_that_was_always_skipped_is_not_new(project: Project) -> None:
    """It is known, by its skips: nothing to run its module before others for."""
    project.write(
        test_a="def test_1(): pass\n",
        test_b="import pytest\n@pytest.mark.skip\ndef test_1(): pass\ndef test_2(): pass\n",
    )
    project.run()
    done = project.run()
    assert _modules(project) == ["test_a", "test_b"]
    done.stdout.fnmatch_lines(["aqe: mode=order, history * 1 run of 3 tests"])
    _, text = project.command("why", "test_b.py::test_1")
    assert "why here:  skipped in every run" in text
    assert "record:    0 runs" in text


def test_failed_before_new(project: Project) -> None:
    """What failed last runs before what is new."""
    project.write(test_a="def test_1(): pass\n", test_b="def test_1(): assert 0\n")
    project.run()
    project.write(test_c="def test_1(): pass\n")
    project.run()
    assert _modules(project) == ["test_b", "test_c", "test_a"]


def test_failed_once_before_never(project: Project) -> None:
    """A test that failed some time ago runs before those that never did."""
    failing = "import os\ndef test_1(): assert not os.path.exists('bad')\n"
    project.write(test_a="def test_1(): pass\n", test_b=failing, test_c="def test_1(): pass\n")
    (project.path / "bad").touch()
    project.run()
    (project.path / "bad").unlink()
    project.run()
    project.run()
    assert _modules(project)[0] == "test_b"


def test_nothing_known_nothing_moved(project: Project) -> None:
    """When nothing ever failed, tests run as collected."""
    project.write(test_b="def test_1(): pass\ndef test_2(): pass\n", test_a="def test_1(): pass\n")
    project.run()
    collected = project.ran()
    project.run()
    assert project.ran() == collected


def test_modules_stay_whole(project: Project) -> None:
    """A module's tests stay together whatever failed."""
    module = "def test_1(): pass\ndef test_2(): assert 0\ndef test_3(): pass\n"
    project.write(test_a=module, test_b=module, test_c=module)
    project.run()
    project.run()
    assert len(_modules(project)) == 3


_COUNTING = """
import pathlib, pytest

def setups(name):
    with pathlib.Path("setups.txt").open("a") as file:
        file.write(name + chr(10))

@pytest.fixture(scope="session", params=["one", "two"])
def database(request):
    setups(f"session {request.param}")
    return request.param

@pytest.fixture(scope="package")
def package_service():
    setups("package")

@pytest.fixture(scope="module")
def module_service(request):
    setups("module")

@pytest.fixture(scope="class")
def class_service():
    setups("class")

@pytest.fixture(scope="module", params=["x", "y"])
def table(request):
    setups(f"module {request.param}")
    return request.param
"""


def _counted(project: Project) -> list[str]:
    path = project.path / "setups.txt"
    lines = sorted(path.read_text(encoding="utf-8").splitlines())
    path.unlink()
    return lines


@pytest.mark.parametrize(
    "module",
    [
        "def test_{n}1(module_service): pass\n"
        "def test_{n}2(): assert {bad}\n"
        "def test_{n}3(module_service): assert {bad}\n",
        "class TestA:\n"
        "    def test_1(self, class_service): pass\n"
        "    def test_2(self, class_service): pass\n"
        "class TestB:\n"
        "    def test_1(self, class_service): pass\n"
        "    def test_2(self, class_service): assert {bad}\n",
        "def test_1(table): pass\ndef test_2(table): assert {bad} or table == 'x'\n",
        "def test_1(database): pass\ndef test_2(database): assert {bad} or database == 'one'\n",
        "def test_1(package_service): pass\ndef test_2(): assert {bad}\n",
    ],
    ids=["module", "class", "parametrized module", "parametrized session", "package"],
)
def test_no_more_setups(project: Project, module: str) -> None:
    """Reordering sets up no class, module, package or session fixture more often."""
    files = {
        f"pack{number % 2}__test_{number}": module.format(
            n=number, bad="False" if number > 1 else "True"
        )
        for number in range(4)
    }
    project.write(conftest=_COUNTING, **files, pack0____init__="", pack1____init__="")
    project.run()
    as_collected = _counted(project)
    collected = project.ran()
    project.run()
    assert _counted(project) == as_collected
    assert project.ran()[0] != collected[0]


def test_explicit_ids_keep_their_order(project: Project, workers: Workers) -> None:
    """Node ids on the command line run in that order, and the header says so."""
    project.write(test_a="def test_1(): pass\ndef test_2(): assert 0\ndef test_3(): assert 0\n")
    project.run()
    done = project.run("test_a.py::test_1", "test_a.py::test_3", "test_a.py::test_2", *workers)
    done.stdout.fnmatch_lines(["aqe: mode=order -> observe (explicit node ids *), *"])
    if not workers:
        assert [name[-1] for name in project.ran()] == ["1", "3", "2"]


def test_downgrade_is_told_at_the_end(project: Project) -> None:
    """Where the header is hidden, the summary says why the order was not applied."""
    project.write(test_a="def test_1(): pass\n")
    project.run("-q", "test_a.py::test_1").stdout.fnmatch_lines(
        ["order was not applied: explicit node ids keep their order"]
    )


def test_first_failure_is_measured(project: Project) -> None:
    """The summary says how soon the first failure came, and how soon it would have come."""
    project.write(
        test_a="def test_1(): pass\ndef test_2(): pass\n", test_b="def test_1(): assert 0\n"
    )
    project.run()
    project.run().stdout.fnmatch_lines(
        [
            "first failure after 1 of 3 tests "
            "(same failures in collected order: 3, failed-first: 1, random: 2)"
        ]
    )


def test_a_run_cut_short_is_not_compared(project: Project) -> None:
    """After -x nobody knows what would have failed first in collected order."""
    project.write(
        test_a="def test_1(): pass\ndef test_2(): pass\n", test_b="def test_1(): assert 0\n"
    )
    project.run()
    project.run("-x").stdout.fnmatch_lines(["first failure after 1 of 1 test"])


def test_collected_place_is_recorded(project: Project) -> None:
    """A result knows its place in the collected order and the one it got."""
    project.write(test_a="def test_1(): pass\n", test_b="def test_1(): assert 0\n")
    project.run()
    project.run()
    assert project.results("run_no, node_id, results.collected, position")[2:] == [
        (2, "test_a.py::test_1", 0, 1),
        (2, "test_b.py::test_1", 1, 0),
    ]


def test_doctests_are_ordered(project: Project) -> None:
    """Doctests move like other tests."""
    project.write(
        a='"""\n>>> 1\n1\n"""\n',
        b='"""\n>>> 1\n2\n"""\n',
    )
    project.run("--doctest-modules")
    project.run("--doctest-modules")
    assert _modules(project) == ["b", "a"]


def test_order_of_a_huge_suite(project: Project) -> None:
    """A plan of more than 10,000 tests reaches the workers too."""
    pytest.importorskip("xdist")
    project.write(test_a="def test_1(): pass\n", test_b="def test_1(): assert 0\n")
    runs = project.folder / "runs"
    runs.mkdir(parents=True)
    lines = [{"type": "run", "format": 1, "run_id": "huge", "started_at": "2026-01-01T00:00:00Z"}]
    for number in range(10_001):
        lines.append(
            {"type": "result", "node_id": f"test_z.py::test_{number}", "outcome": "passed"}
        )
    lines.append({"type": "result", "node_id": "test_b.py::test_1", "outcome": "failed"})
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (runs / "huge.jsonl").write_text(text, encoding="utf-8")
    project.run("-n1").stdout.fnmatch_lines(["aqe: *: 1 run of 10,002 tests"])
    assert _modules(project) == ["test_b", "test_a"]
