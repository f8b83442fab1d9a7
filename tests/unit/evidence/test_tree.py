"""Which files the project has, and what is installed beside it, seen without importing any."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from pytest_aqe.evidence import tree
from pytest_aqe.evidence.contents import Contents


def write(root: Path, *files: str, text: str = "") -> None:
    """Make files, and the folders above them."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


class TestPythonFiles:
    def test_all_of_them(self, tmp_path: Path) -> None:
        """Whatever folder they stand in, with or without an ``__init__.py``."""
        write(tmp_path, "b.py", "src/a/__init__.py", "src/a/m.py", "tests/deep/er/t.py", "a.txt")
        assert tree.python_files(tmp_path) == [
            "b.py",
            "src/a/__init__.py",
            "src/a/m.py",
            "tests/deep/er/t.py",
        ]

    def test_not_other_peoples(self, tmp_path: Path) -> None:
        """Hidden folders, virtual environments and installed packages are no source."""
        write(tmp_path, "a.py", ".tox/b.py", "env/pyvenv.cfg", "env/lib/c.py")
        write(tmp_path, "node_modules/d.py", "lib/site-packages/e.py", "__pycache__/f.py")
        assert tree.python_files(tmp_path) == ["a.py"]

    @pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
    def test_a_circle_of_links_ends(self, tmp_path: Path) -> None:
        """A folder that is a link is not followed."""
        write(tmp_path, "a/b.py")
        (tmp_path / "a" / "again").symlink_to(tmp_path)
        assert tree.python_files(tmp_path) == ["a/b.py"]

    def test_nothing_there(self, tmp_path: Path) -> None:
        """A root that is gone has no files."""
        assert tree.python_files(tmp_path / "gone") == []


@pytest.mark.parametrize(
    ("file", "pattern", "expected"),
    [
        ("pyproject.toml", "pyproject.toml", True),
        ("sub/pyproject.toml", "pyproject.toml", True),
        ("sub/a.lock", "*.lock", True),
        ("requirements/dev.txt", "requirements*.txt", False),
        ("requirements/dev.txt", "requirements/*.txt", True),
        ("a/requirements/dev.txt", "requirements/*.txt", False),
        ("config/deep/a.yml", "config/*", True),
        ("a.lockx", "*.lock", False),
    ],
)
def test_globs(file: str, pattern: str, expected: bool) -> None:
    """One with a slash is of the whole path, one without of the name, anywhere."""
    assert tree.matching(file, [pattern, "other"]) is expected


def test_files_that_call_for_a_full_run(tmp_path: Path) -> None:
    """Of the folders that are asked for, not of those below; a folder of that name is none."""
    write(tmp_path, "uv.lock", "a.lock", "sub/pytest.ini", "sub/deep/uv.lock", "other/uv.lock")
    (tmp_path / "folder.lock").mkdir()
    found = tree.full_run_files(tmp_path, {"", "sub/", "gone/"}, ["*.lock", "pytest.ini"])
    assert found == ["a.lock", "sub/pytest.ini", "uv.lock"]


class TestInstalled:
    def test_what_python_says(self) -> None:
        """Every distribution that has a name and a version is there, with that version."""
        found = tree.installed()
        for name in ("pytest", "hypothesis", "duckdb"):
            assert found[f"<installed>/{name}"] == metadata.version(name)

    def test_names_are_normal(self, tmp_path: Path) -> None:
        """However a folder spells it."""
        for folder in ("A_b.C-1.0.dist-info", "old-2.0-py3.12.egg-info", "none.txt"):
            (tmp_path / folder).mkdir()
        assert tree.installed([str(tmp_path), str(tmp_path / "gone")]) == {
            "<installed>/a-b-c": "1.0",
            "<installed>/old": "2.0",
        }

    def test_the_first_on_the_path_counts(self, tmp_path: Path) -> None:
        """As it does for an import."""
        for place, version in (("one", "1.0"), ("two", "2.0")):
            (tmp_path / place / f"a-{version}.dist-info").mkdir(parents=True)
        path = [str(tmp_path / "one"), str(tmp_path / "two")]
        assert tree.installed(path) == {"<installed>/a": "1.0"}


class TestEverything:
    def test_without_git(self, tmp_path: Path) -> None:
        """Every file that is not hidden, nor compiled."""
        write(tmp_path, "a.py", "sub/data.json", ".hidden/x", ".coverage", "m.pyc")
        assert set(tree.everything(tmp_path, Contents(None))) == {
            "a.py",
            "sub/data.json",
            tree.PROJECT,
        }

    def test_with_git(self, tmp_path: Path) -> None:
        """What git has, hidden or not, and what it would add; not what it ignores."""
        write(tmp_path, "a.py", "ignored.txt", ".ci/conf.yml", "sub/b.txt")
        (tmp_path / ".gitignore").write_text("ignored.txt\n")
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", ".ci", "a.py")
        write(tmp_path, ".coverage", "sub/.cache/x")
        assert set(tree.everything(tmp_path, Contents(None))) == {
            "a.py",
            ".ci/conf.yml",
            "sub/b.txt",
            tree.PROJECT,
        }

    def test_contents(self, tmp_path: Path) -> None:
        """A file's version is its content's, and the project's is that of the names."""
        write(tmp_path, "a.txt", text="1")
        before = tree.everything(tmp_path, Contents(None))
        write(tmp_path, "a.txt", text="2")
        after = tree.everything(tmp_path, Contents(None))
        assert after["a.txt"] != before["a.txt"]
        assert after[tree.PROJECT] == before[tree.PROJECT] == tree.project_version(tmp_path)

    @pytest.mark.parametrize(("file", "tells"), [("b.txt", True), ("b.py", False)])
    def test_a_new_file(self, tmp_path: Path, file: str, tells: bool) -> None:
        """It is another project, but for a Python file, which is noticed by itself."""
        write(tmp_path, "a.txt")
        before = tree.project_version(tmp_path)
        write(tmp_path, file)
        assert (tree.project_version(tmp_path) != before) is tells

    @pytest.mark.skipif(os.name == "nt", reason="the name of a file says it there")
    @pytest.mark.parametrize("file", ["run.sh", "run.py"])
    def test_what_can_be_executed(self, tmp_path: Path, file: str) -> None:
        """Its content stays what it was, and who runs it fails without the permission."""
        write(tmp_path, file)
        before = tree.project_version(tmp_path)
        (tmp_path / file).chmod(0o755)
        assert tree.project_version(tmp_path) != before
        (tmp_path / file).chmod(0o644)
        assert tree.project_version(tmp_path) == before

    def test_a_large_file(self, tmp_path: Path) -> None:
        """It is not read: its size and the time of its last change tell."""
        path = tmp_path / "large.bin"
        with path.open("wb") as file:
            file.truncate(5 << 20)
        before = tree.everything(tmp_path, Contents(None))
        assert set(before) == {tree.PROJECT}
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
        assert tree.project_version(tmp_path) != before[tree.PROJECT]

    def test_odd_names(self, tmp_path: Path) -> None:
        """Spaces, line ends and bytes that are no text are names like others."""
        names = ["a b.txt", "ü.txt", "a\nb.txt"] if os.name != "nt" else ["a b.txt", "ü.txt"]
        write(tmp_path, *names)
        git(tmp_path, "init", "-q")
        assert set(tree.everything(tmp_path, Contents(None))) == {*names, tree.PROJECT}
