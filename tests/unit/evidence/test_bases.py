"""Classes that only bind their names, as far as their bases allow."""

from __future__ import annotations

import pytest

from pytest_aqe.evidence.bases import Bases

PLAIN = b"class Plan:\n    rate = 1\n"
ACTING = b"class Plan:\n    def __init_subclass__(cls): pass\n"


def bases(files: dict[str, bytes]) -> Bases:
    return Bases(sorted(files), files.get)


@pytest.mark.parametrize(
    ("file", "base"),
    [
        ("shop/gold/rates.py", "..Plan"),
        ("shop/gold/__init__.py", "..Plan"),
        ("shop/rates.py", ".Plan"),
        ("shop/rates.py", ".gold.Plan"),
        ("rates.py", ".shop.Plan"),
        ("tests/test_shop.py", "shop.Plan"),
    ],
)
@pytest.mark.parametrize("text", [PLAIN, ACTING])
def test_a_base_is_that_of_the_module_which_the_import_names(
    file: str, base: str, text: bytes
) -> None:
    """A module of another folder has nothing to do with it."""
    files = {"shop/__init__.py": text, "shop/gold/__init__.py": b"from .. import Plan", file: b""}
    files.setdefault("other/__init__.py", ACTING if text is PLAIN else PLAIN)
    files["shop/gold/__init__.py"] = b"from .. import Plan"
    assert bases(files).is_plain(file, base) is (text is PLAIN)


@pytest.mark.parametrize("base", ["...Plan", ".absent.Plan", ".Absent"])
def test_a_base_that_is_not_there_is_not_plain(base: str) -> None:
    """What cannot be followed may do anything."""
    assert not bases({"shop/__init__.py": PLAIN, "shop/rates.py": b""}).is_plain(
        "shop/rates.py", base
    )


def test_packages_that_inherit_from_the_one_above() -> None:
    """As many as a library of providers has: each asks its own parent."""
    files = {"shop/__init__.py": PLAIN}
    for number in range(1000):
        files[f"shop/p{number}/__init__.py"] = b"from .. import Plan as B\nclass Plan(B): pass\n"
    found = bases(files)
    assert all(found.make_plain(file, ["..Plan"]) for file in files if file.count("/") == 2)


def test_a_line_of_bases_without_an_end_is_not_plain() -> None:
    """Following it does not exhaust the stack."""
    files = {
        f"p{number}.py": f"from p{number + 1} import Plan as B\nclass Plan(B): pass\n".encode()
        for number in range(5000)
    }
    assert not bases(files).is_plain("p0.py", "p1.Plan")
