"""Which files are the project's."""

from __future__ import annotations

import sys
import sysconfig

from pytest_aqe.evidence.territory import Territory


def test_files_below_the_root_have_their_path_from_it(tmp_path):
    """With slashes, whether they exist or not."""
    territory = Territory(str(tmp_path))
    assert territory.place(str(tmp_path / "src" / "a.py")) == "src/a.py"
    assert territory.place(str(tmp_path / "data.json")) == "data.json"


def test_environments_and_caches_are_not_the_projects(tmp_path):
    """Nor are the standard library, code without a file, and what is in temporary folders."""
    territory = Territory(str(tmp_path / "root"))
    for inner in (".tox/py/a.py", ".venv/a.py", "__pycache__/a.pyc", ".git/config", ".aqe/x"):
        assert territory.place(str(tmp_path / "root" / inner)) is None
    assert territory.place(sysconfig.get_path("stdlib") + "/json/__init__.py") is None
    assert territory.place("<string>") is None
    assert territory.place(str(tmp_path / "other" / "a.py")) is None
    assert territory.place(sys.modules["pytest"].__file__) is None


def test_excluded_folders_are_not_the_projects(tmp_path):
    """Such as the folder that pytest makes temporary ones in."""
    territory = Territory(str(tmp_path), [str(tmp_path / "scratch")])
    assert territory.place(str(tmp_path / "scratch" / "a.py")) is None


def test_an_installed_copy_is_its_source(tmp_path):
    """In the root, in src or in lib; when the bytes differ, that is known."""
    site = tmp_path / "root" / ".tox" / "lib" / "python3" / "site-packages"
    for folder in (site / "shop", tmp_path / "root" / "src" / "shop"):
        folder.mkdir(parents=True)
        (folder / "same.py").write_text("x = 1")
        (folder / "other.py").write_text(str(folder))
    (site / "stranger").mkdir()
    territory = Territory(str(tmp_path / "root"))
    assert territory.place(str(site / "shop" / "same.py")) == "src/shop/same.py"
    assert territory.differing == set()
    assert territory.place(str(site / "shop" / "other.py")) == "src/shop/other.py"
    assert territory.differing == {"src/shop/other.py"}
    assert territory.place(str(site / "stranger" / "a.py")) is None
