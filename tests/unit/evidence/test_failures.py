"""Signatures: the same failure has one, and it gives nothing away."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.evidence.failures import signature

ROOT = Path("/repo")


def crash(message: str, path: str = "/repo/shop/tax.py") -> SimpleNamespace:
    return SimpleNamespace(reprcrash=SimpleNamespace(path=path, lineno=7, message=message))


def test_it_names_type_and_file() -> None:
    """A signature begins with the error's type and the file from the root."""
    assert (signature(crash("ValueError: bad"), ROOT) or "").startswith("ValueError@shop/tax.py#")


@pytest.mark.parametrize(
    "one, other",
    [
        ("assert 1 == 2", "assert 3 == 4"),
        ("KeyError: 'alice'", "KeyError: 'bob'"),
        ("OSError: no /tmp/a/b", "OSError: no /tmp/c/d"),
        ("ValueError: at 0x7f01", "ValueError: at 0x7f02"),
    ],
)
def test_values_do_not_matter(one: str, other: str) -> None:
    """Numbers, quoted text, paths and addresses are left out of the hash."""
    assert signature(crash(one), ROOT) == signature(crash(other), ROOT)


def test_words_do_matter() -> None:
    """Different messages of one type have different signatures."""
    assert signature(crash("ValueError: too old"), ROOT) != signature(
        crash("ValueError: too young"), ROOT
    )


def test_a_plain_assertion_is_an_assertion_error() -> None:
    """pytest's message of a bare assert names no type."""
    assert (signature(crash("assert False"), ROOT) or "").startswith("AssertionError@")


def test_a_library_is_named_without_its_place() -> None:
    """A failure inside an installed package names the file from site-packages on."""
    path = "/home/me/venv/lib/python3.12/site-packages/lib/core.py"
    assert "@lib/core.py#" in (signature(crash("E: x", path), ROOT) or "")


def test_text_is_read_from_its_error_lines() -> None:
    """A report that is plain text is read by its ``E`` lines."""
    text = "def test(): ...\nE   TypeError: no\n\nt.py:3: TypeError"
    assert (signature(text, ROOT) or "").startswith("TypeError@?#")


def test_no_report_no_signature() -> None:
    """Without a longrepr there is no signature."""
    assert signature(None, ROOT) is None


@given(st.text())
def test_the_message_itself_never_appears(secret: str) -> None:
    """Whatever the message says, the signature holds type, file and eight hex digits."""
    found = signature(crash(f"ValueError: {secret}"), ROOT) or ""
    kind, _, rest = found.partition("@")
    assert kind == "ValueError"
    assert rest.startswith("shop/tax.py#")
    assert len(rest.partition("#")[2]) == 8
