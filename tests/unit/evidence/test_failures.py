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


def kind(longrepr: object) -> str:
    return (signature(longrepr, ROOT) or "").partition("@")[0]


@pytest.mark.parametrize(
    "text",
    [
        "login failed\nhunter2_secret",
        "alice.smith: denied",
        "E   hunter2_secret: denied",
        "E   alice.smith",
        "E   fixture 'nope' not found\n>   available fixtures: tmp_path\n\nt.py:2",
        "hunter2_secret\n\nt.py:7: ValueError",
        "TopSecretError: said by nobody",
        "[XPASS(strict)] ",
        "",
    ],
)
def test_words_of_a_text_are_no_type(text: str) -> None:
    """What a plugin prints of its own failures may be anything: only ``E`` lines name types."""
    assert kind(text) == "Failure"


@pytest.mark.parametrize(
    "line, expected",
    [
        ("KeyError: 'x'", "KeyError"),
        ("shop.errors.PaymentException: no", "PaymentException"),
        ("UserWarning", "UserWarning"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("SystemExit: 3", "SystemExit"),
        ("Failed: because", "Failed"),
        ("_pytest.outcomes.Exit: stop", "Exit"),
        ("assert 1 == 2", "AssertionError"),
    ],
)
def test_types_are_known_by_how_they_end(line: str, expected: str) -> None:
    """An ``E`` line of a text names a type where it ends like one."""
    assert kind(f"def test(): ...\nE   {line}\n\nt.py:3: X") == expected


@pytest.mark.parametrize(
    "message, expected",
    [
        ("test_k.Oops: x", "Oops"),
        ("test_k.test_x.<locals>.Oops: x", "Oops"),
        ("assertive: no type's colon, but pytest gave it", "assertive"),
        ("ValueError('alice: no') [single exception in ExceptionGroup]", "Failure"),
        ("no type at all", "Failure"),
        ("", "Failure"),
    ],
)
def test_a_crash_names_its_type(message: str, expected: str) -> None:
    """pytest's own record of an exception starts with its type, whatever that is called."""
    assert kind(crash(message)) == expected


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
