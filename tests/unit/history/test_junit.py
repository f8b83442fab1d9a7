"""JUnit XML of pytest: node ids come back, bombs do not go off."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aqe.data import Result
from pytest_aqe.errors import InterchangeError
from pytest_aqe.history import junit


def read(tmp_path: Path, cases: str, report: junit.Report | None = None) -> list[Result]:
    path = tmp_path / "report.xml"
    path.write_text(
        "<testsuites><testsuite name='pytest' timestamp='2026-01-02T03:04:05+00:00'>"
        f"{cases}</testsuite></testsuites>",
        encoding="utf-8",
    )
    told = report or junit.Report()
    read = junit.read(path, told, tmp_path, lambda file, message: f"{file}|{message}")
    return [result for _, result in read]


@pytest.mark.parametrize(
    "attributes, node_id",
    [
        ('classname="tests.test_a" name="test_x[1.5]"', "tests/test_a.py::test_x[1.5]"),
        ('classname="tests.test_a.TestA.TestB" name="t"', "tests/test_a.py::TestA::TestB::t"),
        ('classname="Tests.test_a._TestA" name="t"', "Tests/test_a.py::_TestA::t"),
        (
            'classname="tests.test_a.TestA" name="t" file="tests/test_a.py"',
            "tests/test_a.py::TestA::t",
        ),
        (
            'classname="tests.test_a.lower" name="t" file="tests/test_a.py"',
            "tests/test_a.py::lower::t",
        ),
        (
            'classname="tests.test_a.TestA" name="t" file="lib/bases.py"',
            "tests/test_a.py::TestA::t",
        ),
        ('classname="here.Mod.case" name="t"', "here/Mod.py::case::t"),
    ],
)
def test_node_ids_are_rebuilt(tmp_path: Path, attributes: str, node_id: str) -> None:
    """By the file attribute, by the files that are here, by capitals, in this order."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "Mod.py").touch()
    assert [result.node_id for result in read(tmp_path, f"<testcase {attributes}/>")] == [node_id]


@pytest.mark.parametrize(
    "inside, outcome",
    [
        ("", "passed"),
        ("<failure message='m'>text</failure>", "failed"),
        ("<error message='failed on setup'>text</error>", "error"),
        ("<skipped type='pytest.skip' message='no'>why</skipped>", "skipped"),
        ("<skipped type='pytest.xfail' message=''/>", "xfailed"),
        ("<system-out>noise</system-out>", "passed"),
    ],
)
def test_outcomes_are_told_by_the_elements_inside(
    tmp_path: Path, inside: str, outcome: str
) -> None:
    """As pytest writes them."""
    (result,) = read(tmp_path, f"<testcase classname='t' name='x' time='0.5'>{inside}</testcase>")
    assert (result.outcome, result.call) == (outcome, 0.5)


def test_the_signature_is_of_the_text_not_of_the_attribute(tmp_path: Path) -> None:
    """File and message are those that the last printed traceback ends with."""
    text = (
        "def test():\n&gt;   f()\n\nE   KeyError: 1\n\nlib.py:1: KeyError\n\n"
        "During handling ...\n\n&gt;       g()\nE       ValueError: two\nE         lines\n\n"
        "tests/test_a.py:7: ValueError"
    )
    cases = f"<testcase classname='t' name='x'><failure message='cut'>{text}</failure></testcase>"
    (result,) = read(tmp_path, cases)
    assert result.signature == "tests/test_a.py|ValueError: two\n  lines"


@pytest.mark.parametrize(
    "text, signature",
    [
        ("login failed\nhunter2\n\nt.py:7: ValueError", "None|t.py:7: ValueError"),
        ("login failed\nhunter2", "None|hunter2"),
        ("E   KeyError: 1\nE     more", "None|E KeyError: 1\nE   more"),
    ],
)
def test_a_text_that_is_no_traceback_stays_a_text(
    tmp_path: Path, text: str, signature: str
) -> None:
    """Only ``E`` lines above a place are an exception's message; the rest is anybody's words."""
    cases = f"<testcase classname='t' name='x'><failure message='m'>{text}</failure></testcase>"
    (result,) = read(tmp_path, cases)
    assert result.signature == signature


def test_a_failed_test_that_fails_again_on_teardown_is_one_result(tmp_path: Path) -> None:
    """pytest writes two elements for it."""
    cases = (
        "<testcase classname='t' name='x'><failure message='m'>one</failure></testcase>"
        "<testcase classname='t' name='x'><error message='failed on teardown with \"e\"'>two"
        "</error></testcase><testcase classname='t' name='y'/>"
    )
    assert [(r.node_id, r.outcome) for r in read(tmp_path, cases)] == [
        ("t.py::x", "failed"),
        ("t.py::y", "passed"),
    ]


FLAKY = (
    "<flakyError message='m'><stackTrace>E   KeyError: 1\n\nt.py:7: KeyError</stackTrace>"
    "<system-out>E   Noise: 2\n\nt.py:8: Noise</system-out></flakyError>"
    "<flakyFailure message='m'><stackTrace>E   ValueError: 2\n\nt.py:9: ValueError</stackTrace>"
    "</flakyFailure>"
)


@pytest.mark.parametrize(
    "inside, outcomes",
    [
        (FLAKY, ["error", "failed", "passed"]),
        (FLAKY.replace("flaky", "rerun") + "<failure>f</failure>", ["error", "failed", "failed"]),
        ("<failure>f</failure>" + FLAKY.replace("flaky", "rerun"), ["error", "failed", "failed"]),
        (
            FLAKY.replace("flaky", "rerun") + "<skipped type='pytest.xfail' message='m'/>",
            ["error", "failed", "failed"],
        ),
    ],
)
def test_attempts_that_surefire_tells_apart(
    tmp_path: Path, inside: str, outcomes: list[str]
) -> None:
    """Each flakyFailure and rerunFailure is an attempt before the last, with its signature."""
    cases = f"<testcase classname='t' name='x' time='0.5'>{inside}</testcase>"
    results = read(tmp_path, f"{cases}<testcase classname='t' name='y'/>")
    assert [result.outcome for result in results] == [*outcomes, "passed"]
    assert {result.node_id for result in results[:3]} == {"t.py::x"}
    assert [result.signature for result in results[:2]] == [
        "t.py|KeyError: 1",
        "t.py|ValueError: 2",
    ]
    assert [result.call for result in results[:3]] == [None, None, 0.5]


def test_what_is_no_test_is_left_out(tmp_path: Path) -> None:
    """Collection errors, skipped modules and internal errors are counted, not taken."""
    report = junit.Report()
    cases = (
        "<testcase classname='' name='tests.test_a'><error message='collection failure'>e</error>"
        "</testcase><testcase classname='pytest' name='internal'><error>e</error></testcase>"
    )
    assert read(tmp_path, cases, report) == []
    assert (report.left_out, report.started_at) == (2, "2026-01-02T03:04:05+00:00")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>\n'


@pytest.mark.parametrize(
    "text, line",
    [
        (f'<?xml version="1.0"?>\n{BOMB}<testsuites>&c;</testsuites>', 2),
        ('<!DOCTYPE testsuites SYSTEM "file:///etc/passwd"><testsuites/>', 1),
        ("<testsuites>\n<testsuite>\n</testsuites>", 3),
        ("<html/>", 1),
        ("<testsuites>\n<testcase classname='t' name='x' time='1,5'/></testsuites>", 2),
        ("<testsuites>\n\n<testcase classname='t' name='x' time='-1'/></testsuites>", 3),
        ("<testsuites><testcase classname='t'/></testsuites>", 1),
        ("", 1),
    ],
)
def test_a_bad_file_is_refused_by_line(tmp_path: Path, text: str, line: int) -> None:
    """Document types, in which entity bombs live, broken XML, other XML, bad values."""
    path = tmp_path / "report.xml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InterchangeError) as caught:
        list(junit.read(path, junit.Report(), tmp_path, lambda *_: None))
    assert caught.value.line == line


def test_a_file_larger_than_a_chunk_keeps_every_result(tmp_path: Path) -> None:
    """The stream loses nothing where a chunk ends."""
    cases = "".join(f"<testcase classname='t' name='x{n}'/>" for n in range(5000))
    assert [r.node_id for r in read(tmp_path, cases)] == [f"t.py::x{n}" for n in range(5000)]
