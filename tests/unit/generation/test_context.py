"""What is shown for a gap: the code, what is near to it, and nothing that looks like a secret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.data import Candidate, Gap, Target, Trial, Verdict
from pytest_aqe.generation import context, prompts
from pytest_aqe.generation.context import REDACTED, redact

SOURCE = dedent('''\
    """Money."""
    import decimal
    from typing import Any

    RATE = {"EUR": 1}
    UNUSED = 1

    def rounded(value):
        """Round half up."""
        return value

    class Wallet:
        """Holds money."""

        limit = 10

        def __init__(self, owner: str, amount=0):
            self.owner = owner
            self.amount = amount

        def spend(self, amount: int) -> int:
            """Take money out.

            Raises ValueError where there is not enough.
            """
            if amount > self.amount:
                raise ValueError("not enough")
            self.amount -= rounded(amount * RATE["EUR"])
            return self.amount
    ''')
GAP = Gap("shop/money.py", "Wallet.spend", 21, 29, (27,), ((26, 27),), 4,
          tests=("tests/test_money.py::TestWallet::test_spend[1]",))  # fmt: skip


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """A small shop with tests."""
    files = {
        "shop/money.py": SOURCE,
        "shop/till.py": "def pay(wallet, n):\n    # wallet.spend(0)\n    return wallet.spend(n)\n",
        "tests/conftest.py": """
            import pytest

            @pytest.fixture
            def wallet():
                '''A wallet with ten.'''
        """,
        "tests/test_money.py": """
            import pytest
            from shop.money import Wallet

            class TestWallet:
                @pytest.mark.parametrize("n", [1, 2])
                def test_spend(self, wallet, n):
                    assert wallet.spend(n) == 10 - n

            def test_rounded(): assert rounded(1) == 1
        """,
        "tests/test_other.py": "def test_weather(): assert sun() == 'shines'\n",
        "tests/test_broken.py": "def test_(:\n",
        ".venv/lib/test_hidden.py": "def test_spend(): pass\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return Target(
        root=tmp_path,
        rootdir=tmp_path,
        file=tmp_path / "shop/money.py",
        module="shop.money",
        source=SOURCE,
        gaps=(GAP,),
        covered=frozenset(),
        taken=frozenset(),
        paths=(str(tmp_path),),
        place=tmp_path / "tests",
    )


def test_the_code_is_shown_with_what_it_needs(target: Target) -> None:
    """The method with its missing line marked; imports, helpers and the class in outline."""
    found = context.build(GAP, target)
    assert '>   27             raise ValueError("not enough")' in found.segment
    assert "    26         if amount > self.amount:" in found.segment
    assert found.docstring.startswith("Take money out.")
    assert "import decimal" in found.surroundings
    assert "RATE = {'EUR': 1}" in found.surroundings
    assert "UNUSED" not in found.surroundings
    assert "def rounded(value): ...  # Round half up." in found.surroundings
    assert "self.owner = owner" in found.surroundings
    assert "def spend" not in found.surroundings


def test_nearest_tests_callers_and_fixtures_are_found(target: Target) -> None:
    """The one that reaches the gap first; nothing of a virtual environment or a broken file."""
    found = context.build(GAP, target)
    assert found.examples[0].node_id == "tests/test_money.py::TestWallet::test_spend"
    assert found.examples[0].covers
    assert found.examples[0].text.startswith('@pytest.mark.parametrize("n", [1, 2])') or (
        found.examples[0].text.startswith("@pytest.mark.parametrize('n', [1, 2])")
    )
    assert {each.node_id for each in found.examples} <= {
        "tests/test_money.py::TestWallet::test_spend",
        "tests/test_money.py::test_rounded",
        "tests/test_other.py::test_weather",
    }
    (caller,) = found.callers
    assert "shop/till.py, line 3" in caller
    assert found.fixtures == ("wallet (tests/conftest.py): A wallet with ten.",)
    assert found.files[:2] == ("shop/money.py", "shop/till.py")


def test_a_test_that_helped_before_is_preferred(target: Target) -> None:
    """A use that paid changes what is shown the next time."""
    gap = GAP._replace(tests=())
    assert context.build(gap, target).examples[0].node_id != "tests/test_other.py::test_weather"
    helped = ["tests/test_other.py::test_weather"] * 3
    found = context.build(gap, target, helped).examples
    assert "tests/test_other.py::test_weather" in [each.node_id for each in found]


def test_a_rootdir_below_the_git_root_is_no_hindrance(target: Target) -> None:
    """Node ids begin at the rootdir, files at the git root."""
    below = target._replace(rootdir=target.root / "tests")
    gap = GAP._replace(tests=("test_money.py::TestWallet::test_spend",))
    assert context.build(gap, below).examples[0].covers


def test_code_outside_functions_is_shown_with_its_surroundings(target: Target) -> None:
    """A few lines on each side, not the whole module."""
    gap = Gap("shop/money.py", "", 1, 29, (6,), (), 5)
    segment = context.build(gap, target).segment
    assert ">    6 UNUSED = 1" in segment
    assert "Wallet" not in segment


def test_a_long_function_is_cut_to_what_is_near_the_gap(target: Target) -> None:
    """Its head, and what is around the missing line."""
    body = "".join(f"    x{n} = {n}\n" for n in range(1000))
    source = f"def long():\n{body}    return 1\n"
    gap = Gap("shop/money.py", "long", 1, 1002, (500,), (), 1001)
    segment = context.build(gap, target._replace(source=source)).segment
    assert ">  500" in segment
    assert "def long" in segment
    assert "..." in segment
    assert segment.count("\n") < 100


@pytest.mark.parametrize(
    "line",
    [
        'API_KEY = "s3cr3t-value"',
        "password: str = 's3cr3t-value'",
        '{"db_password": "s3cr3t-value"}',
        'connect(token="s3cr3t-value")',
        'x = "AKIAABCDEFGHIJKLMNOP"',
        'x = "ghp_abcdefghijklmnopqrstuvwxyz0123"',
        'x = "sk-proj-abcdefghijklmnopqrst"',
        "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t-value\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_does_not_leave_the_machine(line: str) -> None:
    """By its name or by its shape."""
    found = redact(f"before\n{line}\nafter")
    assert REDACTED in found
    assert "s3cr3t-value" not in found
    assert "abcdefghijklmnop" not in found.lower()
    assert found.startswith("before\n")
    assert found.endswith("\nafter")


@pytest.mark.parametrize("line", ["token = next(tokens)", "if password == '': pass", "tokens = []"])
def test_code_that_only_speaks_of_secrets_stays(line: str) -> None:
    """Or there would be nothing to test."""
    assert redact(line) == line


@given(st.text())
def test_no_text_can_close_the_marks_around_it(text: str) -> None:
    """The mark is made from what it encloses."""
    section = prompts._section("Data", text)
    head, mark, rest = (
        section.partition("<<<data ")[0],
        *section.split("<<<data ", 1)[1].split("\n", 1),
    )
    assert head == "Data:\n"
    assert rest == f"{text}\ndata {mark}>>>"
    assert f"data {mark}>>>" not in text


def test_a_prompt_names_what_is_missing_and_keeps_its_size(target: Target) -> None:
    """Whatever there would be to show."""
    found = context.build(GAP, target)
    text = prompts.author(found, ["run: ValueError"])
    assert "lines no test runs (marked >): 27" in text
    assert "from line 26 to go on at line 27" in text
    assert "Why earlier tries at this gap were refused" in text
    huge = replace(found, callers=("x" * 100_000,), surroundings="y" * 30_000)
    assert len(prompts.author(huge).encode()) <= prompts.PROMPT_BYTES


def test_a_repair_is_told_the_trials_own_words(target: Target) -> None:
    """Stage, reason, refused functions and the end of the output."""
    candidate = Candidate(GAP, "def test_x(): assert spend() == 1\n", "m/x", model=True)
    trial = Trial(
        candidate,
        Verdict("rejected", "run", "2 == 1"),
        "",
        refused={"test_x": "AssertionError"},
        output="a" * 10_000 + "E assert 2 == 1",
    )
    text = prompts.repairer(context.build(GAP, target), trial)
    assert "run: 2 == 1\ntest_x: AssertionError" in text
    assert "E assert 2 == 1" in text
    assert "def test_x(): assert spend() == 1" in text
    assert len(text) < 20_000
