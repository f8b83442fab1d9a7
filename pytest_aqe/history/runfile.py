"""A run's own file: JSON lines, appended as the run goes, readable after a kill.

Each line goes to the system with one ``write`` (2 microseconds), not to a buffer: after
``kill -9`` every result that was recorded is there. The first line is the run, one line
follows per result (and per set of pieces, batch of files, changed Python file: what tests
depend on), ``rename`` lines may follow, and a footer says how the run ended. The
writer holds a lock on the file while it runs, so that whoever ingests can tell a killed
run (no footer, no lock) from a running one.

Files wait in ``runs/``; ingested ones are kept, compressed, in ``runs/ingested/``: from
them a lost history is rebuilt. Nothing here deletes a result.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_aqe.data import Identity, Result, Run, RunEnd, Selection, SetKey, Version
from pytest_aqe.errors import RunFileError

FORMAT = 1
WAITING = "runs"
INGESTED = "runs/ingested"
REFUSED = "runs/refused"
_CLAIMS = 200  # tries, a millisecond apart; then the file system has no locks

_quoted = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class RunFileWriter:
    """Append one run to its file. Not for several threads."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.path = folder / WAITING / f"{run.run_id}.jsonl"
        self.recorded = 0
        try:
            make_folder(folder)
            how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL
            self._file = os.open(self.path, how, 0o666)
        except OSError as error:
            raise RunFileError(
                f"nothing is recorded: cannot create {self.path} ({error.strerror})"
            ) from error
        _claim(self._file)
        try:
            self._write(_line({"type": "run", "format": FORMAT, **_without_none(run._asdict())}))
        except RunFileError:
            os.close(self._file)
            self.path.unlink(missing_ok=True)  # without its first line it is no run file
            raise

    def append(self, result: Result) -> None:
        """Write one result. Raise `RunFileError` when the disk refuses it.

        The line is put together by hand: the encoder takes three times as long, and this
        runs once a test.
        """
        line = f'{{"type":"result","node_id":{_quoted(result.node_id)}'
        line += f',"outcome":"{result.outcome}"'
        if result.identity is not None:
            line += f',"identity":{_quoted(result.identity)}'
        if result.attempt:
            line += f',"attempt":{result.attempt},"attempt_mode":"{result.attempt_mode}"'
        if result.setup is not None:
            line += f',"setup":{result.setup:.6f}'
        if result.call is not None:
            line += f',"call":{result.call:.6f}'
        if result.teardown is not None:
            line += f',"teardown":{result.teardown:.6f}'
        if result.worker is not None:
            line += f',"worker":{_quoted(result.worker)}'
        if result.position is not None:
            line += f',"position":{result.position}'
        if result.collected is not None:
            line += f',"collected":{result.collected}'
        if result.signature is not None:
            line += f',"signature":{_quoted(result.signature)}'
        if result.body is not None:
            line += f',"body":"{result.body}"'
        if result.evidence:
            line += f',"evidence":{_quoted(_encode(result.evidence))}'
        if result.depends is not None:
            line += f',"own":"{result.depends.own}","base":"{result.depends.base}"'
            if result.depends.doubt:
                line += f',"doubt":{_encode(result.depends.doubt)}'
            if result.depends.globs is not None:
                line += f',"globs":{_encode(result.depends.globs)}'
        self._write(line + "}\n")
        self.recorded += 1

    def append_set(self, key: SetKey, pieces: Mapping[str, Sequence[str]]) -> None:
        """Write which names of which files a set holds."""
        self._write(_line({"type": "set", "key": key, "sets": pieces}))

    def append_amended(self, sets: Mapping[SetKey, Sequence[str]]) -> None:
        """Write which set takes the place of another of this run, and what cannot be followed."""
        self._write(_line({"type": "amended", "sets": sets}))

    def append_files(self, files: Mapping[str, Version | None]) -> None:
        """Write which version of each file the run sees; None for one that nobody used yet."""
        self._write(_line({"type": "files", "files": files}))

    def append_collected(self, counts: Mapping[str, int]) -> None:
        """Write how many tests were collected from each file."""
        self._write(_line({"type": "collected", "counts": counts}))

    def append_clean(
        self, since: Mapping[str, Sequence[Identity]], files: Mapping[str, Version | None]
    ) -> None:
        """Write which tests were left out, by the run since which nothing of them has changed.

        ``files`` are those that this was decided by, as they were then; None for one that nobody
        used.
        """
        self._write(_line({"type": "clean", "since": since, "files": files}))

    def append_pieces(
        self, file: str, version: Version, checksums: Mapping[str, str], inert: Iterable[str]
    ) -> None:
        """Write what a Python file consists of at a version."""
        self._write(
            _line(
                {
                    "type": "pieces",
                    "file": file,
                    "version": version,
                    "names": list(checksums),
                    "checksums": list(checksums.values()),
                    "inert": sorted(inert),
                }
            )
        )

    def append_selection(self, selection: Selection) -> None:
        """Write what selection did, or would have done, and how that turned out."""
        self._write(_line({"type": "selection", **_without_none(selection._asdict())}))

    def append_told(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows of one of the tables in ``gaps.py`` or ``agents.py``, as JSON inside JSON."""
        for row in rows:
            self._write(_line({"type": kind, "told": _encode(row)}))

    def close(self, end: RunEnd) -> None:
        """Write the footer and let go of the file."""
        try:
            self._write(_line({"type": "end", **_without_none(end._asdict())}))
        finally:
            unlock(self._file)  # closing is not enough: a test's forked child holds it open too
            os.close(self._file)

    def _write(self, line: str) -> None:
        data = _bytes(line)
        try:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            raise RunFileError(
                f"recording stopped after {self.recorded} results: "
                f"cannot write {self.path} ({error.strerror})"
            ) from error


def waiting(folder: Path) -> list[Path]:
    """Return the run files that no history holds yet, oldest first."""
    files = [*(folder / WAITING).glob("*.jsonl"), *(folder / WAITING).glob("*.jsonl.gz")]
    return sorted(files, key=lambda path: path.name)


def any_beside(folder: Path) -> bool:
    """Tell whether run files lie in a folder: those that wait, or those that were ingested."""
    for path in (*(folder / INGESTED).glob("*.jsonl.gz"), *waiting(folder)):
        with suppress(RunFileError):  # other programs write lines of JSON into ``runs``, too
            read_run(path)
            return True
    return False


def wait_again(folder: Path) -> int:
    """Let every ingested run file wait once more, to rebuild a lost history; count them."""
    ingested = list((folder / INGESTED).glob("*.jsonl.gz"))
    for path in ingested:
        with suppress(FileNotFoundError):  # another session rebuilds too
            path.replace(folder / WAITING / path.name)
    return len(ingested)


def is_running(path: Path) -> bool:
    """Tell whether the process that writes this file is still alive."""
    try:
        try:
            file = os.open(path, os.O_RDWR)  # some network file systems lock no other way
        except PermissionError:
            file = os.open(path, os.O_RDONLY)  # another user's
    except FileNotFoundError:
        return False
    except OSError:
        return True  # in doubt it is alive: taking it would lose what it still writes
    try:
        return not lock(file)
    finally:
        os.close(file)


def read_run(path: Path) -> Run:
    """Read a run file's first line; raise `RunFileError` when it is none of ours."""
    try:
        with _open(path) as lines:
            first = json.loads(lines.readline(1 << 20))
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise RunFileError(f"{path} is not a run file ({error})") from error
    if not isinstance(first, dict) or first.get("type") != "run":
        raise RunFileError(f"{path} is not a run file (its first line names no run)")
    version = first.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise RunFileError(
            f"{path} has format {version!r}, this version reads {FORMAT}; upgrade pytest-aqe"
        )
    known = {name: first[name] for name in Run._fields if name in first}
    for name in ("plugins", "changed_files"):
        if isinstance(known.get(name), list):
            known[name] = tuple(map(str, known[name]))
    try:
        run = Run(**known)
    except TypeError as error:
        raise RunFileError(f"{path} is not a run file ({error})") from error
    for name, value in run._asdict().items():
        wanted = tuple if name in ("plugins", "changed_files") else str
        may_lack = Run._field_defaults.get(name, ...) is None
        if not (isinstance(value, wanted) or (value is None and may_lack)):
            raise RunFileError(f"{path} is not a run file ({name} is {value!r})")
    return run


def salvage(path: Path) -> Iterator[str]:
    """Yield the lines that are whole JSON objects, whatever stands between them."""
    with _open(path) as lines:
        try:
            for line in lines:
                try:
                    if isinstance(json.loads(line), dict):
                        yield line
                except (ValueError, RecursionError):
                    continue
        except (OSError, EOFError):  # a gzip stream cut short
            return


def append_renames(path: Path, renames: list[tuple[Identity, Identity]]) -> None:
    """Note the renames that ingest found, for only now can both places be looked at."""
    with _open(path, "ab") as file:
        for old, new in renames:
            line = "\n" + _line({"type": "rename", "old": old, "new": new})  # after a torn end
            file.write(_bytes(line))


def retire(path: Path, folder: Path) -> None:
    """Compress an ingested run file into ``runs/ingested/``; a kill half-way loses nothing."""
    target = folder / INGESTED / f"{path.name.removesuffix('.gz')}.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.replace(target)
        return
    partial = target.with_suffix(f".{os.getpid()}.partial")
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)  # 16: with a gzip header
    partial.write_bytes(packer.compress(path.read_bytes()) + packer.flush())
    partial.replace(target)
    path.unlink(missing_ok=True)


def refuse(path: Path, folder: Path) -> Path:
    """Set aside a file that is no run file; return where it lies now."""
    target = folder / REFUSED / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return target


def make_folder(folder: Path) -> None:
    """Create ``.aqe`` with its run folder; the folder ignores itself in git.

    A folder that was there before under a name of its own is the user's to ignore.
    """
    ours = folder.name == ".aqe" or not folder.exists()
    (folder / WAITING).mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if ours and not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


if sys.platform == "win32":
    import msvcrt

    def lock(file: int) -> bool:
        """Try to take the lock on an open file; the system frees it when the process ends."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(file: int) -> None:
        """Let go of the lock on an open file."""
        with suppress(OSError):
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def lock(file: int) -> bool:
        """Try to take the lock on an open file; the system frees it when the process ends."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def unlock(file: int) -> None:
        """Let go of the lock on an open file."""
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def _claim(file: int) -> bool:
    """Take the lock, which `is_running` may hold for a moment: without it we would look dead."""
    for _ in range(_CLAIMS):
        if lock(file):
            return True
        time.sleep(0.001)
    return False


def _open(path: Path, mode: Any = "rt") -> Any:
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "errors": "replace"}
    if path.suffix != ".gz":
        return path.open(mode, **text)
    import gzip

    return gzip.open(path, mode, **text)


def _bytes(line: str) -> bytes:
    """Encode a line of JSON. A lone surrogate (bytes that were no text) is spelled out."""
    try:
        return line.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(
            f"\\\\u{ord(each):04x}" if "\ud800" <= each <= "\udfff" else each for each in line
        ).encode("utf-8")


def _line(values: dict[str, Any]) -> str:
    return _encode(values) + "\n"


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
