"""Run files: what was recorded is there, whatever happened to the writer."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.errors import RunFileError
from pytest_aqe.history import runfile

RUN = Run(run_id="r1", started_at="2026-01-02T03:04:05+00:00", plugins=("a-1",))
END = RunEnd("2026-01-02T03:05:05+00:00", "complete", 0, 1, 0, 1)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_result_is_on_disk_before_append_returns(tmp_path: Path) -> None:
    """Nothing is buffered: another process sees each result at once."""
    writer = runfile.RunFileWriter(tmp_path, RUN)
    writer.append(Result("t.py::f", "passed", call=0.25))
    assert lines(writer.path)[1] == {
        "type": "result",
        "node_id": "t.py::f",
        "outcome": "passed",
        "call": 0.25,
    }


def test_the_folder_ignores_itself_in_git(tmp_path: Path) -> None:
    """The first run file brings a .gitignore that ignores everything in the folder."""
    runfile.RunFileWriter(tmp_path / ".aqe", RUN)
    assert (tmp_path / ".aqe" / ".gitignore").read_text() == "*\n"


def test_a_file_being_written_is_running(tmp_path: Path) -> None:
    """The writer's lock tells a running file from a killed one."""
    writer = runfile.RunFileWriter(tmp_path, RUN)
    running = runfile.is_running(writer.path)
    writer.close(END)
    assert (running, runfile.is_running(writer.path)) == (True, False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_closed_file_is_not_running_in_a_forked_child(tmp_path: Path) -> None:
    """A process that a test forked and left behind does not keep the run from the history."""
    writer = runfile.RunFileWriter(tmp_path, RUN)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)  # until the parent lets go
        os._exit(0)
    writer.close(END)
    running = runfile.is_running(writer.path)
    os.close(write)
    os.waitpid(child, 0)
    os.close(read)
    assert not running


def test_a_writer_waits_for_who_looks_at_its_file(tmp_path: Path) -> None:
    """Whoever asks whether a file is running holds its lock a moment; the writer waits."""
    path = tmp_path / "file"
    with path.open("wb") as looking, path.open("wb") as writing:
        assert runfile.lock(looking.fileno())
        threading.Timer(0.03, runfile.unlock, [looking.fileno()]).start()
        assert runfile._claim(writing.fileno())


def test_the_first_line_is_the_run(tmp_path: Path) -> None:
    """What is read back is the run that was written."""
    writer = runfile.RunFileWriter(tmp_path, RUN)
    assert runfile.read_run(writer.path) == RUN


def test_a_folder_of_the_users_is_not_ignored(tmp_path: Path) -> None:
    """With the history in a folder that was there, nothing of that folder is hidden from git."""
    runfile.RunFileWriter(tmp_path, RUN)
    assert not (tmp_path / ".gitignore").exists()


@pytest.mark.parametrize(
    "text", ["", "\n", "{", "[]", '{"type":"end"}', "\0\0\0", '{"type":"run","format":1}']
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """A file whose first line is no run raises an error that names the file."""
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(RunFileError, match=r"x\.jsonl is not a run file|x\.jsonl has format"):
        runfile.read_run(path)


def test_a_later_format_is_refused_with_advice(tmp_path: Path) -> None:
    """A run file of a later format says to upgrade."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"type":"run","format":99,"run_id":"r","started_at":"x"}\n')
    with pytest.raises(RunFileError, match="upgrade pytest-aqe"):
        runfile.read_run(path)


def test_unknown_fields_of_the_run_are_passed_over(tmp_path: Path) -> None:
    """A field that this version does not know does not make the file unreadable."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"type":"run","format":1,"run_id":"r","started_at":"x","later":1}\n')
    assert runfile.read_run(path).run_id == "r"


def test_retiring_keeps_every_byte(tmp_path: Path) -> None:
    """An ingested file is compressed, and its original place is empty."""
    writer = runfile.RunFileWriter(tmp_path, RUN)
    writer.append(Result("t.py::f", "passed"))
    writer.close(END)
    before = writer.path.read_bytes()
    runfile.retire(writer.path, tmp_path)
    kept = tmp_path / runfile.INGESTED / f"{writer.path.name}.gz"
    assert gzip.decompress(kept.read_bytes()) == before
    assert runfile.waiting(tmp_path) == []


def test_a_retired_file_can_wait_again(tmp_path: Path) -> None:
    """To rebuild a lost history, ingested files wait once more and can be read."""
    writer = runfile.RunFileWriter(tmp_path, RUN)
    writer.close(END)
    runfile.retire(writer.path, tmp_path)
    assert runfile.wait_again(tmp_path) == 1
    (path,) = runfile.waiting(tmp_path)
    assert runfile.read_run(path) == RUN


def test_a_rename_is_noted_after_a_torn_last_line(tmp_path: Path) -> None:
    """Appending to a killed run's file does not join its torn last line."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"type":"run"}\n{"type":"res')
    runfile.append_renames(path, [("a", "b")])
    assert {"type": "rename", "old": "a", "new": "b"} in map(json.loads, runfile.salvage(path))


def test_salvage_yields_whole_lines_only(tmp_path: Path) -> None:
    """Among garbage and a torn end, every whole object is found."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a":1}\n\xff\xfe\x00{\n[1]\n{"b":2}\n{"c":')
    assert [json.loads(line) for line in runfile.salvage(path)] == [{"a": 1}, {"b": 2}]


def test_a_compressed_file_cut_short_is_salvaged(tmp_path: Path) -> None:
    """A gzip stream that ends early gives what could be read, not an error."""
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(os.urandom(5000).hex().encode())[:200])
    assert list(runfile.salvage(path)) == []


@given(st.text(), st.text(min_size=1))
def test_any_text_survives(node_id: str, signature: str) -> None:
    """Node ids and signatures of any text are one JSON line that reads back, or escaped."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        writer = runfile.RunFileWriter(Path(folder), RUN)
        writer.append(Result(node_id, "failed", signature=signature))
        writer.close(END)
        text = writer.path.read_bytes().decode("utf-8")
        read = json.loads(text.split("\n")[1])
        assert read["outcome"] == "failed"


def test_what_cannot_be_looked_at_is_taken_for_running(tmp_path: Path) -> None:
    """In doubt a run is alive: ingesting it would lose what it still writes."""
    folder = tmp_path / "not-a-file"
    folder.mkdir()
    assert runfile.is_running(folder)
    assert not runfile.is_running(tmp_path / "absent.jsonl")


def test_a_lone_surrogate_is_spelled_out(tmp_path: Path) -> None:
    """Bytes of a file name that are no text are written as text that JSON can carry."""
    writer = runfile.RunFileWriter(tmp_path, RUN)
    writer.append(Result("caf\udce9.py::t", "passed"))
    writer.close(END)
    assert lines(writer.path)[1]["node_id"] == "caf\\udce9.py::t"
