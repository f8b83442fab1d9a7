"""What the search knows of the package that it searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("raised", "given", "fits"),
    [
        ("ValueError(f'{it.name}')", 1, False),  # AttributeError: a crash
        ("ValueError(f'{it}')", 1, True),
        ("LookupError(it[0])", {}, False),  # a KeyError is one
        ("TypeError('no: ' + it)", None, False),
        ("problem(it)", 1, True),
        ("problem('%s %s' % it)", 1, False),
        ("ValueError(it) from it", None, True),
        ("ValueError(\n        it.name\n    )", 1, False),
    ],
)
def test_what_fails_as_it_is_raised_is_a_crash(
    tmp_path: Path, raised: str, given: object, fits: bool
) -> None:
    """It is not what the project means to say."""
    file = tmp_path / "money.py"
    file.write_text(f"def f(it):\n    raise {raised}\n", "utf-8")
    names: dict[str, Any] = {"problem": KeyError}
    exec(compile(file.read_text("utf-8"), str(file), "exec"), names)
    with pytest.raises((AttributeError, LookupError, TypeError, ValueError)) as caught:
        names["f"](given)
    assert Raises(str(file)).fits(caught.value) is fits
