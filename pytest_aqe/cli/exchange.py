"""Moving runs in and out: import, export, merge, prune."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from pytest_aqe import DEFAULT_HISTORY, suspecting, training
from pytest_aqe.cli.answer import PATIENCE, Answer, reading, writing
from pytest_aqe.cli.arguments import count
from pytest_aqe.errors import HistoryError, InterchangeError, NotFound, RunFileError
from pytest_aqe.evidence.failures import signature
from pytest_aqe.evidence.identity import from_node_id, prefix_of
from pytest_aqe.history import exporting, interchange, merging, reportlog, retention, runfile
from pytest_aqe.history.store import open_history
from pytest_aqe.report.terminal import counted

_DAYS = {"d": 1, "w": 7}
_FOLDER = Path(DEFAULT_HISTORY).parent.name


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare this group's commands."""
    taken = commands.add_parser(
        "import", parents=[common], help="take in JUnit XML, reportlog, CSV or Parquet files"
    )
    taken.add_argument("files", nargs="+", type=Path, metavar="FILE", help="results to take in")
    taken.add_argument(
        "--runs",
        type=Path,
        metavar="RUNSFILE",
        help="what holds for each run as a whole: start, commit, branch, changed files",
    )
    taken.add_argument("--suite", default="", metavar="NAME", help="the suite they are runs of")
    taken.set_defaults(run=_import)
    export = commands.add_parser(
        "export", parents=[common], help="write every result to a CSV or Parquet file"
    )
    export.add_argument("out", type=Path, metavar="OUT", help=".parquet, .csv or .csv.gz")
    export.add_argument(
        "--runs-out", type=Path, metavar="RUNSFILE", help="write the runs to this file as well"
    )
    export.add_argument("--force", action="store_true", help="replace a file that is there")
    export.set_defaults(run=_export)
    merge = commands.add_parser(
        "merge", parents=[common], help="take in run files and histories of other machines"
    )
    merge.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="run files, histories, folders of them"
    )
    merge.set_defaults(run=_merge)
    prune = commands.add_parser(
        "prune", parents=[common], help="forget old runs, roll up again and compact the file"
    )
    which = prune.add_mutually_exclusive_group()
    which.add_argument(
        "--keep", type=_age, metavar="AGE", help="forget runs older than this: 90d, 12w"
    )
    which.add_argument(
        "--keep-runs", type=count, metavar="N", help="forget all but the N latest runs of a suite"
    )
    prune.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    prune.set_defaults(run=_prune)


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([dw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age like 90d or 12w")
    return timedelta(days=int(found[1]) * _DAYS[found[2]])


def _import(asked: argparse.Namespace) -> Answer:
    evidence = evidence_of(_rootdir(asked.history))
    taken: list[interchange.Imported] = []
    refused: list[InterchangeError] = []
    if asked.history.parent.name == _FOLDER:
        runfile.make_folder(asked.history.parent)
    with writing(asked.history) as connection:
        for path in asked.files:
            try:
                taken.append(
                    interchange.import_file(
                        connection, path, evidence, suite=asked.suite, runs=asked.runs
                    )
                )
            except InterchangeError as error:
                refused.append(error)
    lines = [line for done in taken for line in _import_lines(done)]
    lines += dict.fromkeys(map(str, refused))
    return Answer(
        {
            "files": [
                {
                    "file": str(done.path),
                    "origin": done.origin,
                    "runs": done.runs,
                    "results": done.results,
                    "known_runs": done.known,
                    "ignored_columns": done.ignored,
                    "left_out": done.left_out,
                    "runs_without_results": done.runs_without_results,
                }
                for done in taken
            ],
            "refused": [
                {
                    "file": str(error.path),
                    "line": error.line,
                    "column": error.column,
                    "problem": error.problem,
                }
                for error in refused
            ],
        },
        lines,
        exit_code=2 if refused else 0,
    )


def _import_lines(done: interchange.Imported) -> Iterator[str]:
    line = f"{done.path}: {counted(done.results, 'result')} of {counted(done.runs, 'run')}"
    if done.known:
        line += f"; {counted(done.known, 'run')} known already"
    yield line
    if done.ignored:
        yield f"  columns that are not in the format: {', '.join(done.ignored)}"
    if done.left_out:
        yield f"  {done.left_out} collection errors or skipped modules left out"
    if done.runs_without_results:
        yield f"  {counted(done.runs_without_results, 'run')} of the runs file without results here"


def _export(asked: argparse.Namespace) -> Answer:
    with reading(asked.history) as connection:
        results, runs = exporting.export(
            connection,
            asked.out.absolute(),
            runs_out=asked.runs_out.absolute() if asked.runs_out else None,
            prefix=prefix_of(_rootdir(asked.history)),
            force=asked.force,
        )
    data = {"file": str(asked.out), "results": results.rows, "bytes": results.size}
    lines = [f"{asked.out}: {counted(results.rows, 'result')}, {results.size:,} bytes"]
    if runs is not None:
        data |= {"runs_file": str(asked.runs_out), "runs": runs.rows, "runs_bytes": runs.size}
        lines.append(f"{asked.runs_out}: {counted(runs.rows, 'run')}, {runs.size:,} bytes")
    return Answer(data, lines)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What the paths of a merge lead to."""

    run_files: list[Path]
    histories: list[Path]
    refused: dict[str, str]


def _merge(asked: argparse.Namespace) -> Answer:
    sources = _find_sources(asked.paths, asked.history)
    refused = dict(sources.refused)
    if asked.history.parent.name == _FOLDER:
        runfile.make_folder(asked.history.parent)
    with writing(asked.history) as connection:
        files = merging.merge_run_files(connection, sources.run_files)
        histories: list[tuple[Path, merging.Merged]] = []
        for path in sources.histories:
            try:
                histories.append((path, merging.merge_history(connection, path)))
            except (HistoryError, NotFound) as error:
                if isinstance(error, HistoryError) and error.path == asked.history:
                    raise
                refused[str(path)] = str(error)
        learnt = training.learn_all(connection)
        suspecting.learn(connection)
    lines = []
    if sources.run_files:
        line = f"{counted(len(sources.run_files), 'run file')}: "
        lines.append(line + _merged(files.runs, files.results, files.known))
        if files.still_running:
            lines.append(f"  {files.still_running} still being written; merge them again later")
    lines += [f"{path}: {_merged(done.runs, done.results, done.known)}" for path, done in histories]
    if learnt:
        lines.append(f"learnt from {counted(learnt, 'run')}")
    lines += [*files.notes, *refused.values()]
    return Answer(
        {
            "runs": files.runs + sum(done.runs for _, done in histories),
            "results": files.results + sum(done.results for _, done in histories),
            "known_runs": files.known + sum(done.known for _, done in histories),
            "learnt_runs": learnt,
            "still_running": files.still_running,
            "run_files": len(sources.run_files),
            "histories": [str(path) for path, _ in histories],
            "notes": files.notes,
            "refused": [{"source": path, "problem": why} for path, why in refused.items()],
        },
        lines or ["nothing to merge"],
        exit_code=2 if refused else 0,
    )


def _merged(runs: int, results: int, known: int) -> str:
    line = f"{counted(results, 'result')} of {counted(runs, 'run')}"
    return f"{line}; {counted(known, 'run')} known already" if known else line


def _find_sources(paths: list[Path], history: Path) -> _Sources:
    """Sort out run files, histories and what is neither; our own history is passed over."""
    sources = _Sources([], [], {})
    for asked in paths:
        found = _inside(asked) if asked.is_dir() else [asked]
        if not found:
            sources.refused[str(asked)] = f"{asked} holds no run files and no history"
        for path in found:
            if not path.is_file():
                sources.refused[str(path)] = f"{path} is not there"
            elif history.exists() and path.samefile(history):
                continue
            elif path.suffix == ".duckdb" or merging.is_history(path):
                sources.histories.append(path)
            else:
                try:
                    runfile.read_run(path)
                    sources.run_files.append(path)
                except RunFileError as error:
                    sources.refused[str(path)] = str(error)
    return sources


def _inside(folder: Path) -> list[Path]:
    """Return what a folder holds by its ending; refused run files stay where they are."""
    refused = Path(runfile.REFUSED).parts
    return [
        path
        for ending in ("*.jsonl", "*.jsonl.gz", "*.duckdb")
        for path in sorted(folder.rglob(ending))
        if path.parts[-3:-1] != refused
    ]


def _prune(asked: argparse.Namespace) -> Answer:
    before = None
    if asked.keep is not None:
        before = datetime.now(timezone.utc).replace(tzinfo=None) - asked.keep
    rule = retention.Rule(before, asked.keep_runs)
    if not asked.history.exists():
        raise NotFound(f"there is no history at {asked.history}; nothing to prune")
    size = asked.history.stat().st_size
    tests, learnt, note = 0, 0, None
    with open_history(asked.history, write=not asked.dry_run, wait=PATIENCE) as connection:
        doomed = retention.find(connection, rule)
        if not asked.dry_run:
            tests = retention.forget(connection, doomed)
            if doomed.run_ids:
                learnt = training.learn_again(connection)
                suspecting.learn(connection)
            note = connection.compact()
    after = asked.history.stat().st_size
    would = "would forget" if asked.dry_run else "forgot"
    lines = [
        f"{would} {counted(len(doomed.run_ids), 'run')} of {counted(doomed.results, 'result')} "
        f"and {counted(len(doomed.files), 'kept run file')}"
    ]
    if doomed.undated:
        lines.append(
            f"{counted(doomed.undated, 'run')} without a start stay (--keep-runs reaches them)"
        )
    if not asked.dry_run:
        if tests:
            lines.append(f"{counted(tests, 'test')} have no result left and went with them")
        if learnt:
            lines.append(f"learnt again from the {counted(learnt, 'run')} left")
        lines.append(f"{asked.history}: {size:,} bytes before, {after:,} after")
    if note:
        lines.append(f"not compacted: {note}")
    return Answer(
        {
            "dry_run": asked.dry_run,
            "runs": len(doomed.run_ids),
            "results": doomed.results,
            "run_files": len(doomed.files),
            "tests": tests,
            "undated_runs": doomed.undated,
            "learnt_runs": learnt,
            "bytes_before": size,
            "bytes_after": after,
            "not_compacted": note,
        },
        lines,
    )


def _rootdir(history: Path) -> Path:
    """Return the rootdir that node ids start from: where ``.aqe`` lies, else here."""
    if history.parent.name == _FOLDER:
        return history.parent.parent
    return Path.cwd()


def evidence_of(rootdir: Path) -> interchange.Evidence:
    """Return what an import borrows of the evidence wing, for node ids from ``rootdir``."""
    from pytest_aqe.evidence.reports import Fold  # which imports pytest

    prefix = prefix_of(rootdir)
    return interchange.Evidence(
        rootdir=rootdir,
        prefix=prefix,
        identity=partial(from_node_id, prefix=prefix),
        signature=_signature_in(rootdir),
        fold=lambda: Fold(rootdir),
    )


def _signature_in(rootdir: Path) -> Callable[[str | None, str], str | None]:
    def of(path: str | None, message: str) -> str | None:
        if path is None:
            return signature(message, rootdir)
        return signature(reportlog.Longrepr(reportlog.Crash(str(rootdir / path), message)), rootdir)

    return of
