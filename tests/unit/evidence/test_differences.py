"""From files that differ to the pieces that differ, against a project on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_aqe.data import Pieces
from pytest_aqe.evidence.differences import Differences, Differing, Effect
from pytest_aqe.evidence.pieces import MODULE, pieces
from pytest_aqe.evidence.versions import digest

BEFORE = "X = 1\ndef f(): return 1\ndef g(): return 2\nclass C:\n    def m(self): return 3\n"


class Project:
    """Files on disk, and the pieces of what they were."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.old: dict[tuple[str, str], Pieces] = {}

    def write(self, file: str, text: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def was(self, file: str, text: str) -> None:
        """Say what a file was at version ``old``."""
        self.old[file, "old"] = pieces(text.encode())

    def differences(self) -> Differences:
        files = sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*.py"))
        return Differences(self.root, files, lambda file, version: self.old.get((file, version)))

    def effect(self, *differing: Differing, tracked: Iterable[str] = ()) -> Effect:
        return self.differences().effect(differing, set(tracked), set(tracked))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def changed(effect: Effect, file: str) -> set[str | None]:
    """Return the changed pieces of a file in run 1, but for its text as a whole."""
    found = {name for run_no, each, name in effect.changed if (run_no, each) == (1, file)}
    return found - {""}


def edit(project: Project, before: str, after: str, file: str = "a.py") -> Effect:
    """Return the effect of one edit."""
    project.was(file, before)
    project.write(file, after)
    return project.effect(Differing(1, file, "old", True))


class TestPythonFile:
    def test_what_some_run_saw_as_it_is_now_is_known_already(self, project: Project) -> None:
        """An older run differs in a file that the latest one read: it is not parsed again."""
        text = "not even Python"
        project.write("a.py", text)
        project.old["a.py", "old"] = Pieces({MODULE: "1", "f": "2"}, frozenset())
        project.old["a.py", digest(text.encode())] = Pieces({MODULE: "1", "f": "3"}, frozenset())
        effect = project.effect(Differing(1, "a.py", "old", True))
        assert changed(effect, "a.py") == {"f"}

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            ("return 1", "return 5", {"f"}),
            ("return 3", "return 5", {"C.m"}),
            ("def f(): return 1", "def f(): return 5", {"f"}),
        ],
    )
    def test_a_function_that_changed(
        self, project: Project, before: str, after: str, expected: set[str]
    ) -> None:
        """Its piece is all that changed."""
        effect = edit(project, BEFORE, BEFORE.replace(before, after))
        assert changed(effect, "a.py") == expected
        assert effect.files == {1: {"a.py"}}

    @pytest.mark.parametrize(
        "after", ["# comment\n" + BEFORE, BEFORE.replace(": return 1", ":\n\n    return  (1)")]
    )
    def test_nothing_that_means_anything(self, project: Project, after: str) -> None:
        """A comment or a line break changes no piece, and the file does not count."""
        effect = edit(project, BEFORE, after)
        assert changed(effect, "a.py") == set()
        assert (effect.conditional, effect.full, effect.files) == ([], {}, {})

    def test_a_statement_of_the_module(self, project: Project) -> None:
        """What runs at import is the module's."""
        effect = edit(project, BEFORE, BEFORE + "print(X)\n")
        assert "<module>" in changed(effect, "a.py")

    def test_a_new_function(self, project: Project) -> None:
        """It concerns who names it, and depends on its module."""
        project.write("user.py", "def uses():\n    import a\n    return a.fresh()\n")
        project.write("other.py", "def other(): return 1\n")
        effect = edit(project, BEFORE, BEFORE + "def fresh(): return 1\n")
        assert "<module>" not in changed(effect, "a.py")
        ((run_no, module, noticing),) = effect.conditional
        assert (run_no, module) == (1, "a.py")
        assert ("user.py", "uses") in noticing
        assert not any(file == "other.py" for file, _ in noticing)
        assert effect.added == {(1, "a.py", "fresh")}

    def test_a_deleted_function(self, project: Project) -> None:
        """Who ran it has its piece; who names it may fail now."""
        project.write("user.py", "def uses():\n    import a\n    return a.g()\n")
        effect = edit(project, BEFORE, BEFORE.replace("def g(): return 2\n", ""))
        assert "g" in changed(effect, "a.py")
        assert any(("user.py", "uses") in noticing for _, _, noticing in effect.conditional)

    def test_a_deleted_file(self, project: Project) -> None:
        """All of its pieces are gone."""
        project.was("a.py", BEFORE)
        effect = project.effect(Differing(1, "a.py", "old", True))
        assert changed(effect, "a.py") == {None}

    @pytest.mark.parametrize("version", ["unknown", "unstable"])
    def test_what_it_was_is_not_known(self, project: Project, version: str) -> None:
        """Then everything in it changed."""
        project.write("a.py", BEFORE)
        effect = project.effect(Differing(1, "a.py", version, True))
        assert changed(effect, "a.py") == {None}

    def test_a_file_that_cannot_be_parsed(self, project: Project) -> None:
        """It is one piece, and that changed with all that were there before."""
        effect = edit(project, BEFORE, "def f(:\n")
        assert {"<module>", "f", "g", "C.m"} <= changed(effect, "a.py")

    def test_by_run(self, project: Project) -> None:
        """Each run has its own difference from now."""
        project.write("a.py", BEFORE)
        project.was("a.py", BEFORE.replace("return 1", "return 5"))
        project.old["a.py", "older"] = pieces(BEFORE.replace("return 2", "return 5").encode())
        effect = project.effect(
            Differing(1, "a.py", "old", True), Differing(2, "a.py", "older", True)
        )
        assert effect.changed >= {(1, "a.py", "f"), (2, "a.py", "g")}
        assert not effect.changed & {(2, "a.py", "f"), (1, "a.py", "g")}


class TestVersion:
    def test_of_a_package_that_a_build_script_names(self, project: Project) -> None:
        """It matters to who asks for it, not to all who import the package."""
        project.write("setup.py", "from setuptools import setup\nsetup(name='pack')\n")
        project.write("use.py", "import pack\ndef f(): return pack.__version__\ndef g(): pass\n")
        effect = edit(project, "__version__ = '1'\n", "__version__ = '2'\n", "pack/__init__.py")
        assert changed(effect, "pack/__init__.py") == set()
        ((_, module, noticing),) = effect.conditional
        assert module == "pack/__init__.py"
        assert ("use.py", "f") in noticing
        assert ("use.py", "g") not in noticing

    @pytest.mark.parametrize(
        ("file", "by_all"),
        [("pack/__init__.py", False), ("pack/conf/__init__.py", True), ("conf.py", True)],
    )
    def test_in_capitals(self, project: Project, file: str, by_all: bool) -> None:
        """It is the version of a package that is in no other; elsewhere a framework reads it."""
        project.write("pack/__init__.py", "")
        project.write("setup.py", "X = ['pack', 'pack.conf', 'conf']\nimport pack.conf, conf\n")
        effect = edit(project, "VERSION = '1'\n", "VERSION = '2'\n", file)
        assert changed(effect, file) == ({MODULE} if by_all else set())

    def test_beside_a_name_that_a_framework_may_read(self, project: Project) -> None:
        """All who import the package are concerned."""
        project.write("app.py", "def load(frame): frame.install('pack')\n")
        project.write("use.py", "import pack\ndef f(): return pack.X\n")
        before = "__version__ = '1'\nX = 1\n"
        effect = edit(project, before, "__version__ = '2'\nX = 2\n", "pack/__init__.py")
        assert changed(effect, "pack/__init__.py") == {MODULE}


class TestNewFile:
    def test_a_module(self, project: Project) -> None:
        """It concerns who imports, or tried to import, something of that name."""
        project.write("sub/fast.py", "")
        project.write("a.py", "def f():\n    try: import fast\n    except ImportError: pass\n")
        project.write("b.py", "def g(): pass\n")
        effect = project.effect(
            Differing(1, "sub/fast.py", None, False), tracked=["a.py", "b.py", "sub/x.py"]
        )
        assert changed(effect, "a.py") == {"f"}
        assert changed(effect, "b.py") == set()

    def test_a_conftest(self, project: Project) -> None:
        """It concerns every test below its folder."""
        project.write("tests/conftest.py", "")
        effect = project.effect(
            Differing(1, "tests/conftest.py", None, False),
            tracked=["tests/t.py", "tests/deep/t.py", "other/t.py"],
        )
        assert changed(effect, "tests/t.py") == changed(effect, "tests/deep/t.py") == {"<module>"}
        assert changed(effect, "other/t.py") == set()

    def test_a_test_module(self, project: Project) -> None:
        """Nobody depends on it, and it is there to be collected."""
        project.write("test_new.py", "def test_x(): pass\n")
        effect = project.effect(Differing(1, "test_new.py", None, False), tracked=["t.py"])
        assert effect.changed == set()
        assert effect.added == {(1, "test_new.py", "")}


class TestOtherFiles:
    def test_a_data_file(self, project: Project) -> None:
        """Who opened it depends on all of it."""
        effect = project.effect(Differing(1, "data.json", "old", True))
        assert effect.changed == {(1, "data.json", None)}

    def test_configuration(self, project: Project) -> None:
        """It calls for a full run, by its name."""
        effect = project.effect(
            Differing(1, "<configuration>/pyproject.toml", "old", True),
            Differing(2, "data.json", "old", True),
        )
        assert effect.full == {1: "pyproject.toml changed"}

    def test_the_rest_of_a_run_that_tells_nothing(self, project: Project) -> None:
        """Is not compared, however the files are ordered; another run's is."""
        project.was("a.py", BEFORE)
        project.write("a.py", BEFORE.replace("return 1", "return 5"))
        effect = project.effect(
            Differing(1, "a.py", "old", True),
            Differing(2, "a.py", "old", True),
            Differing(1, "<configuration>/pyproject.toml", "old", True),
        )
        assert effect.full == {1: "pyproject.toml changed"}
        assert {run_no for run_no, _, _ in effect.changed} == {2}

    def test_a_package_nobody_is_known_to_import(self, project: Project) -> None:
        """Then anybody may."""
        effect = project.effect(Differing(1, "<installed>/nowhere-known", "1.0", True))
        assert effect.full == {
            1: "the installed nowhere-known changed, and who uses it is not known"
        }

    def test_a_package_that_is_imported(self, project: Project) -> None:
        """Who imports it is concerned, and nobody else."""
        effect = project.effect(
            Differing(1, "<installed>/nowhere-known", "1.0", True),
            tracked=["<package>/nowhere_known", "<package>/other"],
        )
        assert effect.full == {}
        assert effect.changed == {(1, "<package>/nowhere_known", None)}


class TestSinceBase:
    def since(self, project: Project, file: str, before: str | None) -> set[tuple[str, str | None]]:
        content = before.encode() if before is not None else None
        return set(project.differences().since_base([file], lambda _: content))

    def test_a_function(self, project: Project) -> None:
        """Of a Python file the pieces that differ are named."""
        project.write("a.py", BEFORE.replace("return 1", "return 5"))
        assert self.since(project, "a.py", BEFORE) == {("a.py", "f")}
        assert (
            self.since(project, "a.py", "# comment\n" + BEFORE.replace("return 1", "return 5"))
            == set()
        )

    @pytest.mark.parametrize("file", ["a.py", "data.json"])
    def test_a_new_file(self, project: Project, file: str) -> None:
        """All of it is new."""
        project.write(file, "")
        assert self.since(project, file, None) == {(file, None)}

    def test_a_deleted_file(self, project: Project) -> None:
        """All of it is gone."""
        assert self.since(project, "a.py", BEFORE) == {("a.py", None)}
