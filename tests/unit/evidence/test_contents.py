"""Files are read again only where the file system says that they may differ."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from pytest_aqe.evidence import contents
from pytest_aqe.evidence.contents import NAME, Contents, contents_in
from pytest_aqe.evidence.versions import ABSENT, FOLDER, content_version

pytestmark = pytest.mark.skipif(os.name == "nt", reason="`ctime` tells something else there")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a day pass between a file's change and its being read."""
    now = time.time_ns
    monkeypatch.setattr(contents.time, "time_ns", lambda: now() + 86_400 * 10**9)


@pytest.mark.usefixtures("later")
def test_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    """What was written down of it is believed."""
    file, kept = tmp_path / "a.txt", tmp_path / NAME
    file.write_text("1")
    known = Contents(kept)
    version = known.version(str(file))
    assert version == content_version(str(file))
    known.keep()
    kept.write_text(kept.read_text().replace(version, "what was written down"))
    assert Contents(kept).version(str(file)) == "what was written down"


@pytest.mark.usefixtures("later")
def test_whatever_changes_it_is_noticed(tmp_path: Path) -> None:
    """Also a file of the same size with its old time of modification, and one in its place."""
    file, other = tmp_path / "a.txt", tmp_path / "b.txt"
    known = Contents(None)

    def check() -> None:
        assert known.version(str(file)) == content_version(str(file))

    check()
    file.write_text("1")
    check()
    status = file.stat()
    while file.stat().st_ctime_ns == status.st_ctime_ns:
        file.write_text("2")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (1, status.st_mtime_ns)
    check()
    other.write_text("3")
    other.replace(file)
    check()
    file.unlink()
    check()
    assert known.version(str(file)) == ABSENT
    file.mkdir()
    assert known.version(str(file)) == FOLDER


def test_what_has_just_changed_may_change_again(tmp_path: Path) -> None:
    """Within one tick of the file system's clock nothing would tell of it."""
    file = tmp_path / "a.txt"
    file.write_text("1")
    known = Contents(tmp_path / NAME)
    known.version(str(file))
    known.keep()
    assert not (tmp_path / NAME).exists()


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "held",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"{}",
        b'{"format": 0, "files": {}}',
        b'{"format": 1, "files": 5}',
        b'{"format": 1, "files": null}',
    ],
)
def test_what_was_kept_badly_is_read_anew(tmp_path: Path, held: bytes) -> None:
    """Nothing is lost but time, and it is kept well again."""
    file = tmp_path / "a.txt"
    file.write_text("1")
    (tmp_path / NAME).write_bytes(held)
    known = Contents(tmp_path / NAME)
    assert known.version(str(file)) == content_version(str(file))
    known.keep()
    assert str(file) in json.loads((tmp_path / NAME).read_text())["files"]


@pytest.mark.usefixtures("later")
def test_an_entry_of_another_shape_is_none(tmp_path: Path) -> None:
    """A file that somebody edited cannot say what another one holds."""
    file = tmp_path / "a.txt"
    file.write_text("1")
    held = {"format": 1, "files": {str(file): []}}
    (tmp_path / NAME).write_text(json.dumps(held))
    assert Contents(tmp_path / NAME).version(str(file)) == content_version(str(file))


@pytest.mark.usefixtures("later")
def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    """Once it is several times as much as is asked for."""
    for number in range(120):
        (tmp_path / f"{number}.txt").write_text("")
    known = Contents(tmp_path / NAME)
    for number in range(120):
        known.version(str(tmp_path / f"{number}.txt"))
    known.keep()
    (tmp_path / "new.txt").write_text("")
    again = Contents(tmp_path / NAME)
    again.version(str(tmp_path / "new.txt"))
    again.keep()
    assert json.loads((tmp_path / NAME).read_text())["files"].keys() == {str(tmp_path / "new.txt")}


@pytest.mark.usefixtures("later")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It costs the time to read, and no session."""
    (tmp_path / "file").write_text("")
    known = contents_in(tmp_path / "file")
    assert known.version(str(tmp_path / "file")) == content_version(str(tmp_path / "file"))
    known.keep()
