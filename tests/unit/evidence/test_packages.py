"""Who may use an installed distribution, told from its metadata alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aqe.evidence.packages import Packages
from pytest_aqe.evidence.versions import PACKAGE


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, with nothing else that can be found there."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr("sys.path", [str(folder)])
    return folder


def install(
    site: Path, name: str, *files: str, requires: tuple[str, ...] = (), url: str | None = None
) -> None:
    """Write a distribution: its metadata, and the files in its record."""
    for file in files:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).touch()
    folder = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    (folder / "METADATA").write_text("\n".join([*lines, ""]))
    (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    if url is not None:
        (folder / "direct_url.json").write_text(f'{{"url": "{url}"}}')


def using(site: Path, name: str, *tracked: str) -> list[str] | None:
    """Return which of the tracked import names an upgrade of ``name`` may change."""
    files = Packages(site.parent).importable_with(name, {PACKAGE + each for each in tracked})
    return [file.removeprefix(PACKAGE) for file in files] if files is not None else None


def test_import_names(site: Path) -> None:
    """They stand in the record: a distribution may bring several, or one that differs."""
    install(site, "PyYAML", "yaml/__init__.py", "_yaml/__init__.py", "PyYAML-1.0.dist-info/LICENSE")
    install(site, "six", "six.py", "../bin/six")
    assert using(site, "pyyaml", "yaml", "_yaml", "six") == ["_yaml", "yaml"]
    assert using(site, "six", "yaml", "six") == ["six"]


def test_who_requires_it(site: Path) -> None:
    """At any remove, for the tests know only what they import themselves."""
    install(site, "low", "low.py")
    install(site, "Mid.dle", "middle.py", requires=("low>=1", "other; extra == 'more'"))
    install(site, "high", "high.py", requires=("mid-dle (>=1.0)",))
    install(site, "other", "other.py")
    assert using(site, "low", "high", "other") == ["high"]
    assert using(site, "other", "high", "other") == ["other"]


def test_a_circle(site: Path) -> None:
    """Distributions that require each other change together."""
    install(site, "a", "a.py", requires=("b",))
    install(site, "b", "b.py", requires=("a",))
    assert using(site, "a", "a", "b") == ["a", "b"]


def test_nobody_known(site: Path) -> None:
    """Where no test is known to import it, anything may: None, not an empty list."""
    install(site, "low", "low.py")
    assert using(site, "low", "high") is None


@pytest.mark.parametrize("name", ["pytest", "pluggy", "pytest-xdist"])
def test_parts_of_pytest(site: Path, name: str) -> None:
    """They decide how every test runs."""
    install(site, name, "part.py")
    assert using(site, name, "part") is None


def test_what_pytest_requires(site: Path) -> None:
    """So does what they are built on."""
    install(site, "iniconfig", "iniconfig.py")
    install(site, "pytest", "pytest.py", requires=("iniconfig",))
    assert using(site, "iniconfig", "iniconfig") is None


def test_one_that_is_gone(site: Path) -> None:
    """It is known by its own name."""
    assert using(site, "was-here", "was_here", "other") == ["was_here"]


def test_the_project_itself(site: Path, tmp_path: Path) -> None:
    """Installed in place it is followed file by file, so its version says nothing."""
    install(site, "ours", url=tmp_path.as_uri())
    install(site, "theirs", url="file:///somewhere/else")
    install(site, "plain")
    packages = Packages(tmp_path)
    assert [packages.is_project(name) for name in ("ours", "theirs", "plain", "none")] == [
        True,
        False,
        False,
        False,
    ]
