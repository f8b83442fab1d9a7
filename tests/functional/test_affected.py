"""``pytest-aqe affected``: nothing that a select run would run is left unsaid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project


def record(project: Project, *arguments: str) -> pytest.RunResult:
    """Run ``pytest --aqe`` where it follows tests of its own process alone."""
    return project.run_apart(*arguments)


def affected(project: Project, *arguments: str) -> list[str]:
    """Return the pytest arguments that ``affected`` prints."""
    code, printed = project.command("affected", "--format", "ids", *arguments)
    assert code == 0
    return printed.splitlines()


class TestWhatWasNeverSeenToPass:
    @pytest.fixture(autouse=True)
    def recorded(self, project: Project) -> None:
        """One test passes, one fails, one is skipped for a reason from outside."""
        project.write(
            test_a="""
            import os
            import pytest
            def test_ok(): pass
            def test_bad(): assert 0
            def test_elsewhere():
                if "SERVICE" not in os.environ: pytest.skip("no service")
            """
        )
        record(project)

    def test_is_named(self, project: Project) -> None:
        """A test that is red or was skipped runs in select, so it is affected."""
        assert affected(project) == ["test_a.py::test_bad", "test_a.py::test_elsewhere"]

    def test_has_a_reason(self, project: Project) -> None:
        """JSON and text say why it runs."""
        answer = project.answer("affected")
        assert [(each["node_id"], each["why"]) for each in answer["tests"]] == [
            ("test_a.py::test_bad", "failed"),
            ("test_a.py::test_elsewhere", "unknown"),
        ]
        _, printed = project.command("affected")
        assert printed.splitlines() == [
            "2 known tests to run, 1 that nothing has changed for",
            "test_a.py::test_bad  failed when it last ran",
            "test_a.py::test_elsewhere  was not seen to pass yet",
        ]


def select(project: Project) -> set[str]:
    """Return the node ids that a selected run of everything runs."""
    latest = "select max(run_no) from runs"
    ((before,),) = project.sql(latest)
    record(project, "--aqe-mode=select", "--aqe-probe=0")
    rows = project.sql(
        f"select node_id from results join nodes using (node_no) where run_no > {before}"
    )
    return {node_id for (node_id,) in rows}


class TestWhatIsNew:
    def test_stays_new_after_another_session(self, project: Project) -> None:
        """A test that no session ran is new, whatever others ran since it was written."""
        project.write(test_a="def test_ok(): pass\n", test_b="def test_b(): pass\n")
        record(project)
        project.write(test_b="def test_b(): pass\ndef test_new(): assert 0\n")
        record(project, "test_a.py")
        assert affected(project) == ["test_b.py::test_new"]
        answer = project.answer("affected")
        assert answer["new"] == ["test_b.py::test_new"]
        assert answer["changed_files"] == ["test_b.py"]
        assert select(project) == {"test_b.py::test_new"}
        assert affected(project) == ["test_b.py::test_new"]  # which failed

    def test_file_stays_new_after_another_session(self, project: Project) -> None:
        """So is a file that no session looked into."""
        project.write(tests__test_a="def test_ok(): pass\n")
        record(project)
        project.write(tests__unit__test_b="def test_b(): assert 0\n")
        record(project, "tests/test_a.py")
        assert affected(project) == ["tests/unit/test_b.py"]

    def test_file_where_nobody_looks(self, project: Project) -> None:
        """A file outside ``testpaths``, or in ``build``, is none of pytest's."""
        project.write_ini("testpaths = tests")
        project.write(tests__test_a="def test_ok(): pass\n")
        record(project)
        project.write(build__lib__tests__test_b="def test_b(): pass\n")
        project.write(examples__test_c="def test_c(): pass\n")
        assert affected(project) == []

    def test_doctest(self, project: Project) -> None:
        """A first example in a docstring makes a file of tests."""
        project.write_ini("addopts = --doctest-modules")
        text = "def one():\n    return 1\n"
        project.write(library=text, test_a="def test_ok(): pass\n")
        record(project)
        example = '    """One.\n\n    >>> one()\n    2\n    """\n'
        project.write(library=text.replace("    return", f"{example}    return"), other=example)
        assert "library.py" in affected(project)

    def test_file_that_cannot_be_read(self, project: Project) -> None:
        """A file with a syntax error is named: its tests are not gone."""
        project.write(test_a="def test_ok(): pass\n", test_b="def test_b(): pass\n")
        record(project)
        project.write(test_a="def test_ok(: pass\n")
        assert affected(project) == ["test_a.py"]

    def test_in_a_file_nobody_could_follow(self, project: Project) -> None:
        """Beside tests that never passed a new one is found as well."""
        project.write(test_a="def test_ok(): pass\n", test_b="def test_b(): assert 0\n")
        record(project)
        project.write(test_b="def test_b(): assert 0\ndef test_new(): assert 0\n")
        record(project, "test_a.py")
        assert affected(project) == ["test_b.py"]

    def test_parameters(self, project: Project) -> None:
        """A function is named without parameters where there may be new ones."""
        text = """
        import pytest
        @pytest.mark.parametrize("x", [1, 2])
        def test_a(x): assert x < 7
        def test_b(): pass
        """
        project.write(test_a=text)
        record(project)
        project.write(test_a=text.replace("[1, 2]", "[1, 2, 7]"))
        assert affected(project) == ["test_a.py::test_a"]

    def test_parameters_of_a_fixture(self, project: Project) -> None:
        """So it is where a fixture has them."""
        text = "import pytest\n@pytest.fixture(params=[1, 2])\ndef x(request): pass\n"
        project.write(conftest=text, test_a="def test_a(x): pass\ndef test_b(): pass\n")
        record(project)
        project.write(conftest=text.replace("[1, 2]", "[1, 2, 7]"))
        assert affected(project) == ["test_a.py::test_a"]

    def test_parameters_from_a_folder(self, project: Project) -> None:
        """The file is named where anything in it may be new."""
        (project.path / "data").mkdir()
        (project.path / "data" / "1").touch()
        project.write(
            test_a="""
            import os
            import pytest
            @pytest.mark.parametrize("x", os.listdir("data"))
            def test_a(x): pass
            def test_b(): pass
            """
        )
        record(project)
        (project.path / "data" / "7").touch()
        assert affected(project) == ["test_a.py"]

    @pytest.mark.parametrize("base", ["cases", "test_base"])
    def test_inherited(self, project: Project, base: str) -> None:
        """A method that is new in a base class may be a test of every file that uses it."""
        project.write(
            **{base: "class Base:\n    def test_one(self): pass\n"},
            test_a=f"from {base} import Base\nclass TestA(Base): pass\ndef test_s(): pass\n",
            test_o="def test_o(): pass\n",
        )
        record(project)
        with (project.path / f"{base}.py").open("a") as file:
            file.write("    def test_two(self): assert 0\n")
        assert "test_a.py" in affected(project)
        assert "test_o.py" not in affected(project)
        assert "test_a.py::TestA::test_two" in select(project)

    def test_method(self, project: Project) -> None:
        """A new method of a class that nobody inherits from is named alone."""
        text = "def test_o(): pass\nclass TestA:\n    def test_one(self): pass\n"
        project.write(test_a=text)
        record(project)
        project.write(test_a=f"{text}    def test_two(self): pass\n")
        assert affected(project) == ["test_a.py::TestA::test_two"]

    def test_beside_one_that_is_inherited(self, project: Project) -> None:
        """What a class of the same file inherits is a test of that class too."""
        text = "def test_o(): pass\nclass TestA:\n    def test_one(self): pass\n"
        project.write(test_a=f"{text}class TestB(TestA): pass\n")
        record(project)
        project.write(test_a=f"{text}    def test_two(self): pass\nclass TestB(TestA): pass\n")
        assert affected(project) == ["test_a.py"]

    @pytest.mark.parametrize(
        "configuration",
        ["python_files = check_*.py", "addopts = -o python_files=check_*.py"],
    )
    def test_file_of_a_name_of_the_project_s_own(
        self, project: Project, configuration: str
    ) -> None:
        """New files are those that ``python_files`` says."""
        project.write_ini(configuration)
        project.write(check_a="def test_one(): pass\n")
        record(project)
        project.write(check_z="def test_two(): assert 0\n", test_z="def test_two(): assert 0\n")
        assert affected(project) == ["check_z.py"]


class TestWhatIsGone:
    @pytest.fixture(autouse=True)
    def recorded(self, project: Project) -> None:
        """Two tests in one file, one in another."""
        project.write(
            test_a="def test_one(): pass\ndef test_two(): pass\n", test_b="def test_b(): pass\n"
        )
        record(project)

    def test_is_no_argument(self, project: Project) -> None:
        """pytest refuses what it does not find; JSON names it."""
        project.write(test_a="def test_one(): pass\n")
        (project.path / "test_b.py").unlink()
        assert affected(project) == []
        answer = project.answer("affected")
        assert (answer["tests"], answer["arguments"]) == ([], [])
        assert answer["gone"] == ["test_a.py::test_two", "test_b.py::test_b"]
        assert select(project) == set()
        assert affected(project) == []

    def test_why_says_so(self, project: Project) -> None:
        """`why` does not say that it runs."""
        project.write(test_a="def test_one(): pass\n")
        (test,) = project.answer("why", "test_two")["tests"]
        assert test["selection"] == {
            "runs": False,
            "why": "gone",
            "chain": "nothing to run: test_a.py::test_two is not there any more",
        }

    def test_renamed(self, project: Project) -> None:
        """Of a renamed test the new name counts, also after another session."""
        project.write(test_a="def test_one(): pass\ndef test_three(): pass\n")
        assert affected(project) == ["test_a.py::test_three"]
        record(project, "test_a.py::test_one")
        assert affected(project) == ["test_a.py::test_three"]

    def test_never_passed(self, project: Project) -> None:
        """A red test that was deleted is no argument either."""
        project.write(test_b="def test_b(): assert 0\ndef test_c(): pass\n")
        record(project)
        project.write(test_b="def test_c(): pass\n")
        assert affected(project) == []


class TestArguments:
    def test_white_space(self, project: Project) -> None:
        """A shell would take an id with a space for two: the function is named."""
        (project.path / "a").write_text("1")
        (project.path / "c").write_text("1")
        project.write(
            test_a="""
            import pytest
            @pytest.mark.parametrize("x", ["a b", "c"])
            def test_s(x): assert open(x[0]).read()
            def test_o(): pass
            """
        )
        record(project)
        (project.path / "a").write_text("2")
        assert affected(project) == ["test_a.py::test_s"]
        (each,) = project.answer("affected")["tests"]
        assert each["node_id"] == "test_a.py::test_s[a b]"

    def test_below_the_rootdir(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """Arguments hold in the folder where they are asked for, JSON has node ids."""
        project.write(tests__test_a="def test_one(): pass\ndef test_two(): pass\n")
        record(project)
        project.write(tests__test_a="def test_one(): pass\ndef test_two(): assert 0\n")
        monkeypatch.chdir(project.path / "tests")
        assert affected(project) == ["test_a.py::test_two"]
        (each,) = project.answer("affected")["tests"]
        assert each["node_id"] == "tests/test_a.py::test_two"

    def test_everything_below_the_rootdir(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Everything is more than is below this folder."""
        project.write(tests__test_a="def test_one(): pass\n")
        project.run("--aqe-dependencies=off")
        monkeypatch.chdir(project.path / "tests")
        assert affected(project) == [".."]

    def test_in_a_file_of_arguments(self, project: Project) -> None:
        """What is printed is what ``pytest @FILE`` takes."""
        project.write(test_a="def test_one(): pass\ndef test_two(): pass\n")
        record(project)
        project.write(test_a="def test_one(): pass\ndef test_two(): assert 0\n")
        (project.path / "affected.txt").write_text("\n".join([*affected(project), ""]))
        project.pytest("@affected.txt").assert_outcomes(failed=1)


class TestOneHistoryForSeveralProjects:
    @pytest.fixture(autouse=True)
    def two_services(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """The set-up of the how-to guide, both services recorded, one of them edited."""
        for name in ("pay", "mail"):
            service = project.path / "services" / name
            project.write(
                **{
                    f"services__{name}__{name}": "def total(): return 1\n",
                    f"services__{name}__tests__test_a": f"from {name} import total\n"
                    "def test_a(): assert total()\ndef test_b(): pass\n",
                }
            )
            (service / "pyproject.toml").write_text(
                "[tool.pytest.ini_options]\npythonpath = '.'\n"
                f"aqe_history = '../../.aqe/history.duckdb'\nmarkers = ['{name}: of it']\n"
            )
            record(project, f"--rootdir={service}", f"-c{service}/pyproject.toml", service)
        project.write(services__pay__pay="def total(): return 2\n")

    @pytest.mark.parametrize(
        ("service", "expected"), [("pay", ["tests/test_a.py::test_a"]), ("mail", [])]
    )
    def test_each_answers_for_itself(
        self,
        project: Project,
        monkeypatch: pytest.MonkeyPatch,
        service: str,
        expected: list[str],
    ) -> None:
        """In its folder a project's own tests are named."""
        monkeypatch.chdir(project.path / "services" / service)
        assert affected(project) == expected

    def test_why(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """`why` asks what would be there, where the test is."""
        monkeypatch.chdir(project.path / "services" / "pay")
        answers = {
            each["identity"]: each["selection"]["chain"]
            for each in project.answer("why", "tests/test_a.py::test_a")["tests"]
        }
        assert answers == {
            "services/pay/tests/test_a.py::test_a": "runs: services/pay/pay.py::total changed, "
            "which it ran or opened when it last passed",
            "services/mail/tests/test_a.py::test_a": "left out: nothing it uses has changed since "
            "it last passed or was skipped",
        }


class TestConfiguration:
    def test_suite(self, project: Project) -> None:
        """The suite is the configured one; where there is another, `--suite` is spoken of."""
        project.write_ini("aqe_suite = linux")
        project.write(test_a="def test_one(): pass\n")
        record(project)
        assert affected(project) == []
        _, printed = project.command("affected", "--suite=macos")
        assert printed == (
            "everything: no run here has recorded yet what each test depends on; "
            "there is no suite macos but linux: see --suite\n"
        )

    def test_unknown_base(self, project: Project) -> None:
        """A base that is not there is no answer."""
        project.write(test_a="def test_one(): pass\n")
        project.commit_all()
        record(project)
        assert project.command("affected", "--base=nope") == (
            2,
            "pytest-aqe: --base: nope is no commit in this clone\n",
        )

    def test_base_without_git(self, project: Project) -> None:
        """Nor is one where there is no repository."""
        project.write(test_a="def test_one(): pass\n")
        record(project)
        assert project.command("affected", "--base=main") == (
            2,
            "pytest-aqe: --base: main is not known: no commit here, or no git\n",
        )
