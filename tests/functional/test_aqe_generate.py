"""``--aqe-generate``: tests are written, tried and run in the session that found the gaps."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a trial needs os.fork")

NAME = "test_aqe_money.py"


@pytest.fixture(autouse=True)
def package(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a function that no test runs, and one that a test runs in part."""
    project.write(
        pack__money="""
            RATES = {"eur": 1.5}

            def convert(amount, currency="eur"):
                if currency not in RATES:
                    raise ValueError(f"unknown currency: {currency}")
                return amount * RATES[currency]

            def label(amount: int) -> str:
                if amount == 0:
                    return "free"
                return f"{amount:.2f}"
        """,
        tests__test_money="""
            from pack.money import convert

            def test_convert():
                assert convert(10) == 15
        """,
    )
    (project.path / "pack" / "__init__.py").touch()
    project.write_ini("pythonpath = .")
    for name in [each for each in sys.modules if each.partition(".")[0] == "pack"]:
        monkeypatch.delitem(sys.modules, name)


def generations(project: Project) -> list[tuple[str, str, str | None]]:
    return [
        (gap, outcome, author)
        for gap, outcome, author in project.sql(
            "select gap_name, outcome, author from generations order by gap_name"
        )
    ]


def test_accepted_tests_run_in_the_session_and_are_counted_apart(
    project: Project, workers: Workers
) -> None:
    """They are proposals; the test tree, the results and the exit code are as without them."""
    done = project.run("--aqe-generate=propose", *workers)
    done.stdout.fnmatch_lines(
        [
            "aqe: pack.money: tests for 2 of 2 gaps by offline, *",
            "*- generated tests -*",
            "2 tests accepted: *",
            f".aqe/proposals/{NAME}: 2 tests of pack/money.py",
            "*= 1 passed, 2 generated passed in *",
        ]
    )
    assert done.ret == 0
    text = (project.folder / "proposals" / NAME).read_text("utf-8")
    assert "label(amount) == expected" in text
    assert 'pytest.raises(ValueError, match="unknown currency' in text
    assert generations(project) == [
        ("convert", "accepted", "offline"),
        ("label", "accepted", "offline"),
    ]
    assert project.outcomes() == {"test_convert": "passed"}
    assert [path.name for path in (project.path / "tests").glob("*.py")] == ["test_money.py"]


@pytest.mark.parametrize("quiet", ["-q", "--color=no"])
def test_a_line_of_dots_has_one_percentage(project: Project, quiet: str) -> None:
    """That of the project's own tests; generated ones begin another line."""
    lines = project.run("--aqe-generate=propose", quiet).outlines
    assert [line.count("%]") for line in lines if line.endswith("%]")] == [1]
    assert any(line.endswith("gg") for line in lines)


def test_without_hypothesis_the_session_says_what_it_does_not_write(project: Project) -> None:
    """Everything but property tests is written all the same."""
    project.write(conftest="import sys\nsys.modules['hypothesis'] = None\n")
    done = project.run("--aqe-generate=propose")
    done.stdout.fnmatch_lines(
        ["2 tests accepted: *", "no property tests are written: hypothesis is not installed *"]
    )
    again = project.run("--no-aqe")
    assert "hypothesis is not installed" not in again.stdout.str()


def test_a_proposal_passes_as_it_stands(project: Project) -> None:
    """Plain pytest runs what was written."""
    project.run("--aqe-generate=propose")
    project.pytest(str(project.folder / "proposals" / NAME)).assert_outcomes(passed=3)


def test_a_gap_with_a_proposal_is_left_alone(project: Project) -> None:
    """The next session writes nothing twice; a gap whose code changed is written for again."""
    project.run("--aqe-generate=propose")
    done = project.run("--aqe-generate=propose")
    done.stdout.fnmatch_lines(["2 gaps have a proposal already (pytest-aqe proposals list)"])
    assert len(generations(project)) == 2
    path = project.path / "pack" / "money.py"
    path.write_text(path.read_text("utf-8").replace('"free"', '"nothing"'), "utf-8")
    project.run("--aqe-generate=propose")
    assert len(generations(project)) == 4


def test_apply_writes_into_the_test_tree(project: Project) -> None:
    """Beside the test that reaches the code; in the next session they are tests as any other."""
    done = project.run("--aqe-generate=apply")
    done.stdout.fnmatch_lines([f"tests/{NAME}: 2 tests of pack/money.py"])
    assert not list((project.folder / "proposals").glob("*"))
    project.run("--aqe-gaps").assert_outcomes(passed=4)
    assert project.answer("gaps")["gaps"] == []


@pytest.mark.parametrize("pattern", ["unit/*.py", "*.py"])
def test_a_module_of_tests_is_what_pytest_takes_for_one(project: Project, pattern: str) -> None:
    """Also where doctests of the code match the pattern."""
    folder = project.path / "tests" / "unit" / "deep"
    folder.mkdir(parents=True)
    (project.path / "tests" / "test_money.py").rename(folder / "test_money.py")
    project.write_ini(f"python_files = {pattern}", "pythonpath = .")
    done = project.run("--aqe-generate=apply")
    done.stdout.fnmatch_lines([f"tests/unit/deep/{NAME}: 2 tests of pack/money.py"])


@pytest.mark.parametrize("testpaths", ["pack tests", ""])
def test_doctests_of_the_code_do_not_draw_tests_into_the_package(
    project: Project, testpaths: str
) -> None:
    """They are tests of a module, and no module of tests."""
    doctest = '''    """Label a price.\n\n    >>> label(2)\n    '2.00'\n    """'''
    path = project.path / "pack" / "money.py"
    start, label, rest = path.read_text("utf-8").partition("def label(amount: int) -> str:\n")
    path.write_text(f"{start}{label}{doctest}\n{rest}", "utf-8")
    project.write_ini(f"testpaths = {testpaths}", "pythonpath = .", "addopts = --doctest-modules")
    done = project.run("--aqe-generate=apply")
    done.stdout.fnmatch_lines([f"tests/{NAME}: * of pack/money.py"])


def test_apply_never_overwrites(project: Project) -> None:
    """What is there keeps its name."""
    theirs = project.path / "tests" / NAME
    theirs.write_text("def test_mine(): pass\n", "utf-8")
    project.run("--aqe-generate=apply")
    assert theirs.read_text("utf-8") == "def test_mine(): pass\n"
    assert (theirs.parent / NAME.replace(".py", "_2.py")).is_file()


def test_proposals_are_listed_shown_applied_and_dropped(project: Project) -> None:
    """By the command, also as JSON."""
    assert project.answer("proposals", "list") == {"proposals": []}
    project.run("--aqe-generate=propose")
    (proposal,) = project.answer("proposals", "list")["proposals"]
    assert (proposal["name"], proposal["file"]) == (NAME, "pack/money.py")
    assert proposal["killed"] >= 2
    assert "def test_label" in project.answer("proposals", "show", "pack/money.py")["text"]
    code, said = project.command("proposals", "show", "nothing")
    assert (code, "no proposal 'nothing'" in said) == (1, True)
    project.answer("proposals", "apply", NAME)
    assert (project.path / "tests" / NAME).is_file()
    assert project.answer("proposals", "list") == {"proposals": []}
    assert project.answer("proposals", "drop", "--all") == {"dropped": []}


def test_a_proposal_says_that_its_code_has_changed(project: Project) -> None:
    """What proved itself with other code may fail with this one: the list and the move say so."""
    project.run("--aqe-generate=propose")
    (proposal,) = project.answer("proposals", "list")["proposals"]
    assert proposal["current"] is True
    path = project.path / "pack" / "money.py"
    path.write_text(path.read_text("utf-8").replace('"free"', '"nothing"'), "utf-8")
    (proposal,) = project.answer("proposals", "list")["proposals"]
    assert proposal["current"] is False
    assert "pack/money.py (changed since)" in project.command("proposals", "list")[1]
    _, said = project.command("proposals", "apply", NAME)
    assert f"pack/money.py has changed since {NAME} was accepted: run it" in said
    assert (project.path / "tests" / NAME).is_file()


def test_the_same_code_gives_the_same_bytes(project: Project) -> None:
    """All but the line that names the run."""
    texts = []
    for _ in range(2):
        project.run("--aqe-generate=propose")
        text = (project.folder / "proposals" / NAME).read_text("utf-8")
        texts.append([line for line in text.splitlines() if not line.startswith("# aqe: by")])
        project.command("proposals", "drop", "--all")
    assert texts[0] == texts[1]


def test_files_tried_side_by_side_are_reported_one_by_one(
    project: Project, workers: Workers
) -> None:
    """In the order in which they were chosen; each has its own file of tests."""
    names = [f"part{number}" for number in range(5)]
    for number, name in enumerate(names):
        (project.path / "pack" / f"{name}.py").write_text(
            f"def sign(number):\n    if number < {number}:\n        return -1\n    return 1\n"
        )
    imports = "".join(f"import pack.{name}\n" for name in names)
    project.write(tests__test_parts=f"{imports}def test_nothing():\n    pass\n")
    done = project.run("--aqe-generate=propose", "--aqe-seed=1", *workers)
    said = [line for line in done.stdout.lines if line.startswith("aqe: pack.")]
    shown = [line for line in done.stdout.lines if line.startswith(".aqe/proposals/test_aqe_")]
    written = [line for line in shown if ": " in line]
    assert [line.split(" ")[1].removeprefix("pack.").rstrip(":") for line in said] == [
        line.split(":")[0].removeprefix(".aqe/proposals/test_aqe_").removesuffix(".py")
        for line in written
    ]
    assert len(written) == len(names) + 1


def write_speakers(project: Project, *names: str, body: str = "pass") -> dict[str, str]:
    """Write functions that speak the tongue that was chosen; return tests of them, by name."""
    (project.path / "pack" / "tongue.py").write_text(
        "chosen = {'tongue': 'en'}\n\n\n"
        "def choose(tongue):\n    chosen.update(tongue=tongue)\n    return tongue.upper()\n"
    )
    texts = {"choose": generated("tongue", "choose", "'DE'")}
    for name in names:
        (project.path / "pack" / f"{name}.py").write_text(
            "import os\n\nfrom pack.tongue import chosen\n\n\n"
            f"def {name}(who):\n    {body}\n    return chosen['tongue'] + ': {name}, ' + who\n"
        )
        texts[name] = generated(name, name, f"'en: {name}, de'")
    imports = ", ".join(f"pack.{name}" for name in ("tongue", *names))
    project.write(tests__test_words=f"import {imports}\n\ndef test_nothing(): pass\n")
    return texts


def generated(module: str, name: str, said: str) -> str:
    return (
        f"from pack.{module} import {name}\n\n\n"
        f"def test_{name}():\n    assert {name}('de') == {said}\n"
    )


def let_write(project: Project, texts: dict[str, str], *more: str) -> None:
    """Let a plugin write these texts for functions; an empty one is a fault of it."""
    lines = (
        "import pytest",
        "from pytest_aqe.data import Candidate",
        *map(dedent, more),
        f"TEXTS = {texts!r}",
        "@pytest.hookimpl(optionalhook=True)",  # in a trial, where we are not
        "def pytest_aqe_generate_test(gap):",
        "    if gap.name not in TEXTS:",
        "        return None",
        "    if not TEXTS[gap.name]:",
        "        raise RuntimeError('a fault')",
        "    return [Candidate(gap, TEXTS[gap.name], 'theirs')]",
    )
    (project.path / "conftest.py").write_text("\n".join(lines))


def accepted(project: Project) -> list[str]:
    return sorted(name for name, outcome, _ in generations(project) if outcome == "accepted")


def proposed(project: Project) -> list[str]:
    return sorted(path.name for path in (project.folder / "proposals").glob("*.py"))


def applied(project: Project) -> list[str]:
    return sorted(path.name for path in project.path.glob("tests/**/test_aqe*.py"))


@pytest.mark.parametrize("how", ["propose", "apply"])
def test_an_accepted_test_after_which_those_of_other_files_fail_is_taken_back(
    project: Project, workers: Workers, how: str
) -> None:
    """What it leaves inside an object shows there only; the others are kept."""
    let_write(project, write_speakers(project, "hello", "bye"))
    done = project.run(f"--aqe-generate={how}", *workers)
    done.stdout.fnmatch_lines(
        [
            "4 tests accepted: *; 1 candidate refused (stability 1)",
            "1 accepted test taken back, not getting on with the others",
            "    test_aqe_tongue.py::test_choose: *::test_* fails after it",
            "*= 2 passed, 4 generated passed in *",
        ]
    )
    kept = ["test_aqe_bye.py", "test_aqe_hello.py", NAME]
    assert proposed(project) == ([] if how == "apply" else kept)
    assert applied(project) == (kept if how == "apply" else [])
    assert accepted(project) == ["bye", "convert", "hello", "label"]
    ((stage, reason),) = project.sql(
        "select stage, reason from generations where gap_name = 'choose'"
    )
    assert stage == "stability"
    assert "fails after it" in reason


@pytest.mark.parametrize("other", ["hello", "zhello"])
def test_where_two_do_not_get_on_neither_is_kept(project: Project, other: str) -> None:
    """Whichever of them comes first in the tree; of a candidate with two tests both go."""
    texts = write_speakers(project, other)
    texts["choose"] += "\n\ndef test_french():\n    assert choose('fr') == 'FR'\n"
    let_write(project, texts)
    done = project.run("--aqe-generate=apply")
    done.stdout.fnmatch_lines(["3 accepted tests taken back, not getting on with the others"])
    assert applied(project) == [NAME]
    assert accepted(project) == ["convert", "label"]


@pytest.mark.parametrize("word", ["en", "fr"])
def test_one_after_which_a_test_of_the_suite_fails_is_taken_back(
    project: Project, workers: Workers, word: str
) -> None:
    """Of any file: one trial runs the nearest alone."""
    let_write(project, {"choose": write_speakers(project, "hello")["choose"]})
    project.write(
        tests__test_hello=f"""
            import os

            from pack.hello import hello

            def test_hello():
                assert hello("de").startswith("en")

            def test_more():
                assert hello("de") == "{word}: hello, de"  # it may fail without us

            def test_dies():
                os.fork() or os._exit(1)
        """
    )
    done = project.run("--aqe-generate=apply", *workers)
    done.stdout.fnmatch_lines(
        [
            "1 accepted test taken back, not getting on with the others",
            "    test_aqe_tongue.py::test_choose: test_hello.py::test_hello of the suite *",
        ]
    )
    assert applied(project) == [NAME]


def test_one_that_fails_after_a_test_of_the_suite_is_taken_back(project: Project) -> None:
    """Though another of the suite does not always pass."""
    let_write(project, {"hello": write_speakers(project, "hello")["hello"]})
    project.write(
        tests__test_choose="""
            import os
            from pathlib import Path

            from pack.tongue import choose

            def test_choose():
                assert choose("de") == "DE"

            def test_once():
                folder = os.environ.get("TMPDIR", "")
                if "aqe-trial" in folder:
                    Path(folder, "once").touch(exist_ok=False)
        """
    )
    done = project.run("--aqe-generate=apply")
    done.stdout.fnmatch_lines(
        ["    test_aqe_hello.py::test_hello: it fails after tests of the suite"]
    )
    assert applied(project) == [NAME]


@pytest.mark.parametrize(
    ("file", "needs"),
    [
        ("tests/conftest.py", "import os\nDB = os.environ['MY_DB']\n"),
        (
            "tests/conftest.py",
            "import os, pytest\n@pytest.fixture(autouse=True)\ndef db(): os.environ['MY_DB']\n",
        ),
        (
            "tests/other/conftest.py",
            "import os, pytest\ndef pytest_collection_modifyitems(items):\n"
            "    if 'MY_DB' not in os.environ:\n"
            "        for item in items: item.add_marker(pytest.mark.skip)\n",
        ),
    ],
)
def test_a_suite_that_needs_what_a_sandbox_has_not_says_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, file: str, needs: str
) -> None:
    """Nobody is taken back for it, and nothing is kept from being applied."""
    monkeypatch.setenv("MY_DB", "there")
    path = project.path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(needs)
    project.write(
        tests__other__test_db="""
            import os

            from pack.money import convert

            DB = os.environ["MY_DB"]

            def test_db():
                assert convert(2) == 3
        """
    )
    done = project.run("--aqe-generate=apply")
    assert "taken back" not in done.stdout.str()
    assert applied(project) == [NAME]


def test_a_module_of_the_suite_that_is_called_like_a_new_one_is_not_that(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_DB", "there")
    (project.path / "tests" / NAME).write_text(
        "import os\nfrom pack.money import convert\nDB = os.environ['MY_DB']\n\n\n"
        "def test_db():\n    assert convert(2) == 3\n"
    )
    project.run("--aqe-generate=apply")
    assert applied(project) == [NAME, NAME.replace(".py", "_2.py")]


@pytest.mark.parametrize("how", ["while {}: pass", "{} and os._exit(3)"])
def test_one_that_does_not_end_after_another_is_found(project: Project, how: str) -> None:
    """It hangs, or ends its process: others do not suffer for it."""
    body = how.format("chosen['tongue'] != 'en'")
    let_write(project, write_speakers(project, "hello", body=body))
    project.run("--aqe-generate=apply")
    assert not {"test_aqe_hello.py", "test_aqe_tongue.py"} <= {*applied(project)}


def test_tests_with_fixtures_of_their_own_folders_are_kept(project: Project) -> None:
    """Those of one folder run together; its conftest is nobody else's."""
    texts = write_speakers(project, "hello", "bye")
    for name in ("hello", "bye"):
        texts[name] = texts[name].replace("():", f"(for_{name}):").replace("'de'", f"for_{name}", 1)
        folder = project.path / "tests" / name
        folder.mkdir()
        (folder / "conftest.py").write_text(
            f"import pytest\n\n\n@pytest.fixture\ndef for_{name}():\n    return 'de'\n"
        )
        module = project.path / "pack" / f"{name}.py"
        module.write_text(f"{module.read_text()}\n\ndef is_there():\n    return True\n")
        (folder / f"test_{name}.py").write_text(
            f"from pack.{name} import is_there\n\n\ndef test_it():\n    assert is_there()\n"
        )
    let_write(project, {name: texts[name] for name in ("hello", "bye")})
    done = project.run("--aqe-generate=apply")
    assert "taken back" not in done.stdout.str()
    assert {"hello", "bye"} <= {*accepted(project)}


def test_after_a_fault_nothing_is_applied(project: Project) -> None:
    """What has not run with all others is for people to look at."""
    texts = write_speakers(project, "bye", "hello", "more")
    let_write(project, {**texts, "more": ""})
    done = project.run("--aqe-generate=apply")
    done.stdout.fnmatch_lines(["*internal fault while generating tests (RuntimeError)*"])
    assert applied(project) == []
    assert done.ret == pytest.ExitCode.OK


def test_modules_that_do_not_get_on_at_import_are_not_both_kept(project: Project) -> None:
    """One of them is taken back as a whole."""
    texts = write_speakers(project, "bye", "hello")
    for name in ("bye", "hello"):
        case = "@pytest.mark.parametrize('who', [pack.reg.once()])\ndef "
        text = texts[name].replace("def ", case).replace("():", "(who):").replace("'de'", "who", 1)
        texts[name] = f"import pytest\n\nimport pack.reg\n{text}"
    let_write(project, {name: texts[name] for name in ("bye", "hello")})
    (project.path / "pack" / "reg.py").write_text(
        "known = []\n\n\n"
        "def once():\n    assert not known\n    known.append('de')\n    return 'de'\n"
    )
    done = project.run("--aqe-generate=apply")
    done.stdout.fnmatch_lines(["    test_aqe_*: it cannot be imported beside the others"])
    assert "test_aqe_hello.py" not in applied(project)  # `bye` was there first


def test_ctrl_c_waits_until_tests_are_taken_back(project: Project) -> None:
    """Row, file and summary say the same of each."""
    let_write(
        project,
        write_speakers(project, "hello", "bye"),
        """
        import os
        import signal
        from pathlib import Path

        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever ignored it before
        unlink = Path.unlink

        def interrupted(path, *arguments, **options):
            if path.name == "test_aqe_tongue.py":
                os.kill(os.getpid(), signal.SIGINT)
            unlink(path, *arguments, **options)

        Path.unlink = interrupted
        """,
    )
    done = project.run_apart("--aqe-generate=apply")
    done.stdout.fnmatch_lines(["1 accepted test taken back, *", INTERRUPTED])
    assert "test_aqe_tongue.py" not in proposed(project)
    assert accepted(project) == ["bye", "convert", "hello", "label"]
    assert project.statuses() == ["complete"]


def test_a_part_of_the_suite_generates_nothing(project: Project) -> None:
    done = project.run("--aqe-generate=propose", "-k", "nothing")
    done.stdout.fnmatch_lines(["no tests were generated: only a part of the suite ran"])


def test_another_plugin_writes_and_another_vetoes(project: Project) -> None:
    """The first author that answers is tried like ours; any reason of a reviewer counts."""
    project.write(
        conftest="""
            from pytest_aqe.data import Candidate

            def pytest_aqe_generate_test(gap, target, author):
                if gap.name == "label":
                    text = (
                        "from pack.money import label\\n\\n\\n"
                        "def test_mine():\\n    assert label(0) == 'free'\\n"
                    )
                    return [Candidate(gap, text, "mine")]
                return None

            def pytest_aqe_review_test(trial):
                return "no errors, please" if "raises" in trial.text else None
        """
    )
    done = project.run("--aqe-generate=propose")
    done.stdout.fnmatch_lines(["*1 passed, 1 generated passed*"])
    found = dict(project.sql("select author, arg_max(reason, attempt) from generations group by 1"))
    assert found["mine"] == ""
    assert found["offline"] == "no errors, please"


def test_off_generates_nothing(project: Project) -> None:
    project.run("--aqe-gaps")
    assert not (project.folder / "proposals").exists()
    assert generations(project) == []


def test_a_failing_suite_still_fails(project: Project, workers: Workers) -> None:
    """Tests are written all the same; the exit code is that of the suite."""
    project.write(tests__test_b="def test_b(): assert 0\n")
    done = project.run("--aqe-generate=propose", *workers)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["*1 failed, 1 passed, 2 generated passed*"])


def test_junit_holds_generated_tests_too(project: Project) -> None:
    """They are reported as pytest reports any test."""
    project.run("--aqe-generate=propose", "--junitxml=out.xml")
    text = (project.path / "out.xml").read_text("utf-8")
    assert 'tests="3"' in text
    assert 'name="test_label"' in text


def test_the_time_is_kept(project: Project) -> None:
    """What does not fit is left to the next session, and said."""
    done = project.run("--aqe-generate=propose", "--aqe-generate-time=1s")
    done.stdout.fnmatch_lines(["--aqe-generate-time is over; the next session goes on"])


def test_what_was_not_looked_at_was_not_tried_in_vain(project: Project) -> None:
    """The time for a file ends before all of its functions were called: others come later."""
    functions = "".join(
        f"\ndef wait_{number}(much: int):\n    time.sleep(0.5)\n    return str(much)\n"
        for number in range(30)
    )
    project.path.joinpath("pack", "slow.py").write_text(f"import time\n{functions}", "utf-8")
    project.write(tests__test_slow="import pack.slow\n\ndef test_it(): pass\n")
    project.run("--aqe-generate=propose", "--aqe-generate-time=5s")
    looked_at = {name for name, _, _ in generations(project) if name.startswith("wait_")}
    assert 0 < len(looked_at) < 30


def test_a_sandbox_command_that_is_not_there(project: Project) -> None:
    """The session goes on, and says so."""
    done = project.run("--aqe-generate=propose", "--aqe-sandbox-cmd=no-such-wrapper --x")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*cannot start no-such-wrapper*"])


INTERRUPTED = (
    "generating tests was interrupted; what was accepted is kept, the next session goes on"
)


@pytest.mark.parametrize("how", ["propose", "apply"])
def test_ctrl_c_ends_generating_and_keeps_what_was_accepted(
    project: Project, workers: Workers, how: str
) -> None:
    """All tests had run: the run is complete, and its exit code theirs."""
    project.write(
        conftest="""
            pressed = []

            def pytest_aqe_review_test(trial):
                if not pressed:
                    pressed.append(True)
                    raise KeyboardInterrupt
        """
    )
    done = project.run(f"--aqe-generate={how}", *workers)
    done.stdout.fnmatch_lines([f".aqe/proposals/{NAME}: 2 tests of pack/money.py", INTERRUPTED])
    assert done.ret == pytest.ExitCode.OK
    assert (project.folder / "proposals" / NAME).is_file()
    assert {outcome for _, outcome, _ in generations(project)} == {"accepted"}
    assert project.statuses() == ["complete"]


def test_ctrl_c_waits_until_accepted_tests_are_handed_over(project: Project) -> None:
    """A file, its row and its report are kept together; then there is nothing to interrupt."""
    project.write(
        conftest="""
            import os
            import signal

            pressed = []
            signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever ignored it before

            def pytest_runtest_logstart(nodeid):
                if "test_aqe_money" in nodeid and not pressed:
                    pressed.append(True)
                    os.kill(os.getpid(), signal.SIGINT)
        """
    )
    done = project.run("--aqe-generate=propose")
    done.stdout.fnmatch_lines(["*= 1 passed, 2 generated passed in *"])
    assert len(generations(project)) == 2
    assert project.statuses() == ["complete"]


def test_ctrl_c_in_the_suite_still_interrupts(project: Project) -> None:
    project.write(tests__test_z="def test_z(): raise KeyboardInterrupt\n")
    done = project.run_apart("--aqe-generate=propose")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert project.statuses() == ["interrupted"]
