"""What the search knows of the package that it searches."""

from __future__ import annotations

from pathlib import Path

from pytest_aqe.generation.execution import Raises


def test_lines_that_raise_are_those_of_the_package(tmp_path: Path) -> None:
    """Every line of a statement counts; a file outside, or one that does not parse, has none."""
    package, outside = tmp_path / "pack", tmp_path / "packer.py"
    package.mkdir()
    text = "def f(x):\n    assert x\n    raise ValueError(\n        x,\n    )\n"
    for file in (package / "money.py", outside):
        file.write_text(text, "utf-8")
    (package / "broken.py").write_text("def f(:\n    raise X\n", "utf-8")
    raises = Raises(f"{package}/")
    assert raises.of(str(package / "money.py")) == {2, 3, 4, 5}
    assert raises.of(str(outside)) == set()
    assert raises.of(str(package / "broken.py")) == set()
    assert raises.of(str(package / "gone.py")) == set()


def test_a_file_that_is_its_own_package_is_read(tmp_path: Path) -> None:
    """The folder is that one file."""
    file = tmp_path / "money.py"
    file.write_text("def f():\n    raise ValueError\n", "utf-8")
    assert Raises(str(file)).of(str(file)) == {2}
