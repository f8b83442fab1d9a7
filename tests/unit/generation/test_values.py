"""Values as source: what is written gives an equal value back, or is refused."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import io
import operator
import pathlib
import queue
import re
import sys
import types
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation.snapshots import assertions, printed, raised
from pytest_aqe.generation.values import Writer, here, same

writer = Writer(frozenset({"tests"}))

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.binary(max_size=20) | st.datetimes() | st.dates() | st.timedeltas() | st.decimals()
    | st.fractions() | st.uuids(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(PLAIN)
def test_what_is_written_is_the_same_value(value: Any) -> None:
    """Or it is refused; never something near it."""
    source = writer.write(value)
    if source is not None:
        again = source.value({})
        assert same(value, again) or repr(again) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        {3, 1, 2}, frozenset(), set(), (1,), (), range(3), slice(1, None), bytearray(b"a"),
        collections.OrderedDict(a=1), collections.deque([1]), collections.Counter("aab"),
        collections.defaultdict(list, {"a": [1]}), pathlib.Path("a/b"), re.compile("a+", re.I),
        io.StringIO("x"), decimal.Decimal("1.50"), fractions.Fraction(1, 3), uuid.UUID(int=5),
        datetime.timezone.utc, int, len, ValueError("no"), float("nan"), float("-inf"), ...,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_many_kinds_can_be_written(value: Any) -> None:
    source = writer.write(value)
    assert source is not None
    again = source.value({})
    assert type(again) is type(value)
    assert same(value, again) or repr(again) == repr(value)


class Local:
    """An object of the project without a recipe."""


@pytest.mark.parametrize(
    "value",
    [
        Local(), lambda: 1, list(range(100)), "x" * 1000, 10**50, [[[[[[[1]]]]]]], object(),
        "AKIA" + "ABCDEFGHIJKL", "sk-" + "a1" * 20, "sk-live-0123456789", "sk_live_51Habc",
        "my password is x",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", [{"a": "token=1"}],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_cannot_or_must_not_be_written_is_refused(value: Any) -> None:
    assert writer.write(value) is None


@pytest.mark.parametrize(
    "value, text",
    [(operator.add, "operator.add"), (io.StringIO, "io.StringIO"), (re.compile, "re.compile")],
)
def test_what_is_written_in_c_is_known_by_another_name(value: Any, text: str) -> None:
    source = Writer(frozenset()).write(value)
    assert source is not None
    assert (source.text, source.imports) == (text, {f"import {text.partition('.')[0]}"})


def test_an_error_written_in_c_is_too() -> None:
    seen = raised("call()", queue.Empty("no more"), frozenset(), writer)
    assert seen is not None
    assert seen.lines[0] == 'with pytest.raises(queue.Empty, match="no more"):'
    assert "import queue" in seen.imports


def test_a_text_with_an_address_says_nothing_of_its_length() -> None:
    """An address may have fewer digits in another process."""
    seen = assertions("shown()", repr(Local()), writer, {})
    assert seen.lines == ("assert type(shown()).__name__ == 'str'",)


def test_where_the_process_works_is_no_value() -> None:
    """A path of this machine would hold nowhere else."""
    assert Writer(frozenset(), local=here("/tmp/here")).write("/tmp/here/file.txt") is None


def test_a_path_of_this_process_is_not_measured_either() -> None:
    """Its length holds no longer than the path does; that of a long text does."""
    writer = Writer(frozenset(), local=here("/tmp/here"))
    assert assertions("x", "/tmp/here/file.txt", writer, {}).lines == (
        "assert type(x).__name__ == 'str'",
    )
    assert assertions("x", "a" * 1_000, writer, {}).lines == ("assert len(x) == 1000",)


@pytest.mark.parametrize(
    "value",
    [
        pathlib.Path("/tmp/here/é/x"),
        pathlib.PurePosixPath("/tmp/here/é"),
        [1, {"a": ("b", pathlib.Path("/tmp/here/é"))}],
        bytearray(b"in /tmp/here/\xc3\xa9"),
        "in /tmp/here/é".encode(),
        re.compile("/tmp/here/é/.*"),
        types.SimpleNamespace(path=pathlib.Path("/tmp/here/é")),
    ],
)
def test_no_value_and_no_text_of_it_holds_a_path_of_this_project(value: Any) -> None:
    own = Writer(frozenset(), local=here("/tmp/here/é"))
    assert own.write(value) is None
    seen = assertions("x", value, own, {})
    assert not any("here" in line for line in seen.lines)


@pytest.mark.parametrize("folder", ["/src", "/code", "/work/it", "/tmp/o'brien"])
@pytest.mark.parametrize(
    "text",
    ["/srcset", "a/codes", "h/works", "the work", "http://h/src/x", "/src", "/tmp", "o'brien"],
)
def test_a_word_like_the_name_of_a_folder_is_a_text_like_any_other(folder: str, text: str) -> None:
    assert Writer(frozenset(), local=here(folder)).write(text) is not None


def test_what_is_in_a_folder_below_the_root_is_known_by_its_name() -> None:
    """``/app/login`` is a route of a project at ``/app``, unless there is a folder so called."""
    names = {each.name for each in pathlib.Path("/usr").iterdir()}
    name = min(names - {"bin", "local"})
    own = Writer(frozenset(), local=here("/usr"))
    assert own.write(f"/usr/{name}/x") is None
    assert own.write("/usr/no-such-name") is not None


@pytest.mark.parametrize(
    "value",
    [
        pathlib.Path("/tmp/o'brien/here/x").parts,
        ["", "tmp", "o'brien", "here", "x"],
        "/TMP/O'BRIEN/HERE/X",
        'say "/tmp/o\'brien/here"',
        b'say "/tmp/o\'brien/here"',
    ],
)
def test_a_path_of_this_project_is_known_however_it_is_spelled(value: Any) -> None:
    assert Writer(frozenset(), local=here("/tmp/o'brien/here")).write(value) is None


def test_no_output_and_no_message_holds_a_path_of_this_project() -> None:
    own = Writer(frozenset(), local=here("/tmp/here/é"))
    assert printed("f()", "wrote /tmp/here/é", own).lines == ()
    failed = raised("f()", ValueError("no /tmp/here/é"), frozenset(), own)
    assert failed is not None
    assert failed.lines == ("with pytest.raises(ValueError):", "    f()")


def test_a_home_that_is_a_common_word_is_a_text_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/root")
    assert Writer(frozenset(), local=here()).write("/root/child") is not None
    monkeypatch.delenv("HOME")
    assert Writer(frozenset(), local=here("/")).write("/etc/hosts") is not None
    monkeypatch.setenv("HOME", "/home/ada")
    assert Writer(frozenset(), local=here()).write("/home/ada/child") is None


def test_what_holds_on_this_machine_only_is_refused() -> None:
    """The interpreter, its version, the folder that the process works in."""
    own = Writer(frozenset(), local=here("/scratch/aqe-1"))
    for text in (sys.executable, f"python {sys.version}", "in /scratch/aqe-1/files"):
        assert own.write(text) is None
    assert own.write("/usr/bin") is not None
