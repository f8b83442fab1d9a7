"""Identities: one name for one test, whatever pytest calls it today."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.evidence import identity


class TestNodeIds:
    @pytest.mark.parametrize(
        "node_id, name",
        [
            ("t.py::f[<O object at 0x7f0a1b>]", "t.py::f[<O object>]"),
            ("t.py::f@slow", "t.py::f"),
            ("t.py::f[a]@slow", "t.py::f[a]"),
            ("t.py::f[a@b]", "t.py::f[a@b]"),
            ("t.py::f[me@example.org-1]@g", "t.py::f[me@example.org-1]"),
            ("t.yaml::user@host", "t.yaml::user@host"),
            ("t.py::C::m", "t.py::C::m"),
        ],
    )
    def test_what_varies_is_stripped(self, node_id: str, name: str) -> None:
        """Addresses and xdist groups are no part of a test's identity; parameters are."""
        assert identity.from_node_id(node_id) == name

    @given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"])))
    def test_an_identity_is_its_own_identity(self, text: str) -> None:
        """Normalizing twice changes nothing."""
        once = identity.from_node_id(f"t.py::f[{text}]")
        assert identity.from_node_id(once) == once

    def test_the_prefix_leads_from_the_git_root(self, tmp_path: Path) -> None:
        """A rootdir inside a repository gives its path as the prefix."""
        (tmp_path / ".git").mkdir()
        inner = tmp_path / "services" / "pay"
        inner.mkdir(parents=True)
        assert identity.prefix_of(inner) == "services/pay/"
        assert identity.prefix_of(tmp_path) == ""


class TestParameters:
    def test_a_positional_id_is_replaced(self) -> None:
        """pytest numbers values it cannot print; the number is dropped."""
        assert identity.stable_parameters("f[x0-1]", {"x": object(), "n": 1}) == "f[x*-1]"

    def test_text_that_looks_like_a_positional_id_is_kept(self) -> None:
        """A string parameter whose value is ``x0`` keeps it."""
        assert identity.stable_parameters("f[x0]", {"x": "x0"}) == "f[x0]"

    def test_a_long_string_shortened_by_pytest_is_replaced(self) -> None:
        """pytest 9.2 names strings over 100 characters by position."""
        assert identity.stable_parameters("f[x12]", {"x": "y" * 101}) == "f[x*]"

    def test_digits_of_other_ids_are_kept(self) -> None:
        """An id that does not begin with an argument's name is left alone."""
        assert identity.stable_parameters("f[py311]", {"version": "py311"}) == "f[py311]"


class TestBody:
    def test_a_rename_keeps_the_body(self) -> None:
        """Two functions that do the same have one body, whatever their names and lines."""

        def one(tmp_path: Path) -> None:
            assert [n * n for n in range(3)] == [0, 1, 4], str(tmp_path)

        def other(tmp_path: Path) -> None:
            assert [n * n for n in range(3)] == [0, 1, 4], str(tmp_path)

        assert identity.body(one.__code__) == identity.body(other.__code__)

    def test_another_constant_is_another_body(self) -> None:
        """A changed constant changes the body."""
        assert identity.body((lambda: 1).__code__) != identity.body((lambda: 2).__code__)

    def test_a_nested_change_is_another_body(self) -> None:
        """A change inside a nested function changes the body."""
        one = compile("def f():\n def g(): return 1\n return g", "", "exec").co_consts[0]
        two = compile("def f():\n def g(): return 2\n return g", "", "exec").co_consts[0]
        assert identity.body(one) != identity.body(two)

    def test_a_set_literal_does_not_depend_on_the_hash_seed(self) -> None:
        """A frozenset constant is fingerprinted in sorted order."""
        code = compile("def f(x): return x in {'a', 'b', 'c'}", "", "exec").co_consts[0]
        other = code.replace(
            co_consts=tuple(
                frozenset(sorted(each, reverse=True)) if isinstance(each, frozenset) else each
                for each in code.co_consts
            )
        )
        assert identity.body(code) == identity.body(other)


class TestIsGone:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """A project in which the new place can be seen."""
        (tmp_path / "new.py").write_text("def test_new(): ...\n")
        return tmp_path

    def test_a_missing_file_is_gone(self, root: Path) -> None:
        """A test whose file does not exist is gone."""
        assert identity.is_gone("t.py::test_x", "new.py::test_x", root)

    def test_a_function_that_is_there_is_not_gone(self, root: Path) -> None:
        """A test whose function is defined in its file is not gone, parameters or not."""
        (root / "t.py").write_text("class C:\n    def test_x(self): ...\n")
        assert not identity.is_gone("t.py::C::test_x[1]", "new.py::test_x", root)

    def test_a_longer_name_does_not_count(self, root: Path) -> None:
        """``test_x`` is gone from a file that only defines ``test_x_and_y``."""
        (root / "t.py").write_text("def test_x_and_y(): ...\n")
        assert identity.is_gone("t.py::test_x", "new.py::test_x", root)

    def test_elsewhere_nothing_is_gone(self, tmp_path: Path) -> None:
        """In a folder that has not even the new test, nothing can be told."""
        assert not identity.is_gone("t.py::test_x", "new.py::test_x", tmp_path)

    def test_a_test_with_a_name_of_its_own_never_is(self, root: Path) -> None:
        """``aqe_id`` outlives every place."""
        assert not identity.is_gone("aqe_id::refund", "new.py::test_x", root)
