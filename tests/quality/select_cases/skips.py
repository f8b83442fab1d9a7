"""Tests that a mark skips until somebody edits what it asks for."""

from __future__ import annotations

from .case import Case, Swap

_BYSTANDER = frozenset({"test_bystander"})
_HERE = """
    -- system.py --
    import sys

    PLATFORMS = ("amiga", "beos", sys.platform)
    HERE = sys.platform in PLATFORMS
"""
_ELSEWHERE = {"system.py": Swap("sys.platform)", "sys.platform[:1])")}


def _skipped(
    name: str, project: str, change: dict[str, Swap] = _ELSEWHERE, selected: str = "test_skipped"
) -> Case:
    return Case(
        f"skip of {name}", _HERE + project, change=change, selected={selected}, spared=_BYSTANDER
    )


CASES: tuple[Case, ...] = (
    _skipped(
        "a test",
        """
    -- test_system.py --
    import pytest
    from system import HERE

    @pytest.mark.skipif(HERE, reason="not here")
    def test_skipped():
        assert HERE
    """,
    ),
    _skipped(
        "a test, its mark edited",
        """
    -- test_system.py --
    import sys

    import pytest
    from system import HERE

    @pytest.mark.skipif(sys.platform != "amiga", reason="not here")
    def test_skipped():
        assert not HERE
    """,
        {"test_system.py": Swap('sys.platform != "amiga"', 'sys.platform == "amiga"')},
    ),
    _skipped(
        "a test, whatever the system",
        """
    -- test_system.py --
    import pytest
    from system import HERE

    @pytest.mark.skip
    def test_skipped():
        assert not HERE
    """,
        {"test_system.py": Swap("@pytest.mark.skip\n", "")},
    ),
    _skipped(
        "a class",
        """
    -- test_system.py --
    import pytest
    from system import HERE

    @pytest.mark.skipif(HERE, reason="not here")
    class TestSystem:
        def test_skipped(self):
            assert HERE
    """,
        selected="TestSystem::test_skipped",
    ),
    _skipped(
        "a class by its marks",
        """
    -- test_system.py --
    import pytest
    from system import HERE

    class TestSystem:
        pytestmark = [pytest.mark.skipif(HERE, reason="not here")]

        def test_skipped(self):
            assert HERE
    """,
        selected="TestSystem::test_skipped",
    ),
    _skipped(
        "a module",
        """
    -- test_system.py --
    import pytest
    import system

    pytestmark = pytest.mark.skipif(system.HERE, reason="not here")

    def test_skipped():
        assert system.HERE
    """,
    ),
    _skipped(
        "a test by a text",
        """
    -- test_system.py --
    import pytest
    from system import HERE

    @pytest.mark.skipif("HERE")
    def test_skipped():
        assert HERE
    """,
    ),
    _skipped(
        "a test by a mark of another module",
        """
    -- marks.py --
    import pytest
    from system import HERE

    elsewhere = pytest.mark.skipif(HERE, reason="not here")
    -- test_system.py --
    from marks import elsewhere
    from system import HERE

    @elsewhere
    def test_skipped():
        assert HERE
    """,
    ),
    _skipped(
        "a unittest",
        """
    -- test_system.py --
    import unittest

    from system import HERE

    class TestSystem(unittest.TestCase):
        @unittest.skipIf(HERE, "not here")
        def test_skipped(self):
            assert HERE
    """,
        selected="TestSystem::test_skipped",
    ),
    _skipped(
        "a case of unittest",
        """
    -- test_system.py --
    import unittest

    from system import HERE

    @unittest.skipUnless(not HERE, "not here")
    class TestSystem(unittest.TestCase):
        def test_skipped(self):
            assert HERE
    """,
        selected="TestSystem::test_skipped",
    ),
)
