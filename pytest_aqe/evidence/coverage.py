"""What the tests ran: the one file that imports coverage.

There is never a second tracer. Where pytest-cov or ``coverage run`` measures already, its data
are read; else coverage.py is started here, with branches and a context for every test. What
it was not asked to measure stays unmeasured: without contexts nobody knows which test reached
a function, without branches a line that ran is all that is known.

Lines and branches that the project's coverage configuration excludes are no gaps.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_aqe.data import Arc, NodeId
from pytest_aqe.errors import AqeError

if TYPE_CHECKING:
    from coverage import Coverage

_CONFIGURATION = ".coveragerc"


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """One file of the project: line numbers and jumps. ``missing_arcs`` None is unmeasured.

    ``tests`` holds the lines that each test ran, None without contexts.
    """

    file: str
    ran: frozenset[int]
    missing: frozenset[int]
    taken_arcs: frozenset[Arc] | None
    missing_arcs: frozenset[Arc] | None
    tests: Mapping[NodeId, frozenset[int]] | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, by whom, and what could not be read."""

    origin: str
    files: Mapping[str, FileCoverage]
    notes: tuple[str, ...] = field(default=())


class Meter:
    """Our own measurement in one process: start early, one context a test, write or keep."""

    def __init__(self, root: Path, rootdir: Path) -> None:
        import coverage

        self._coverage = coverage.Coverage(
            data_file=None, config_file=_configuration(rootdir), branch=True, messages=False
        )
        config = vars(self._coverage.config)  # some options are newer than coverage 7.6
        if not any(config.get(name) for name in _CHOOSING):
            self._coverage.set_option("run:include", [f"{root}/*"])
            if not self._coverage.get_option("run:omit"):
                own = Path(__file__).parents[1]  # a checkout of ours next door is not theirs
                own_too = [] if own.is_relative_to(rootdir) else [f"{own}/*"]
                self._coverage.set_option("run:omit", [*_INSTALLED, *own_too])
        if "core" in config:  # sys.monitoring has no contexts (7.17)
            self._coverage.set_option("run:core", "ctrace")
        # a file of the project that no test imports is a gap of ours, not a warning of theirs
        self._coverage.set_option("run:disable_warnings", list(_WARNINGS))

    def start(self) -> None:
        """Begin; what is imported already has been missed."""
        self._coverage.start()

    def switch(self, node_id: NodeId) -> None:
        """Charge what follows to a test, or with an empty name to none."""
        self._coverage.switch_context(node_id)

    def stop(self) -> None:
        """End the measurement; its data stay in memory."""
        self._coverage.stop()

    def write(self, path: Path) -> None:
        """Leave the data in a file, for the controller to `read`."""
        import coverage

        with _quiet():
            path.parent.mkdir(parents=True, exist_ok=True)
            data = coverage.CoverageData(str(path))
            own = self._coverage.get_data()
            data.update(own)
            data.write()
            close(data)
            close(own)

    @property
    def data(self) -> Any:
        """The data so far, as `measured` takes them."""
        with _quiet():
            return self._coverage.get_data()


_SOURCES = ("source", "source_pkgs", "source_dirs")  # of the configuration
_CHOOSING = (*_SOURCES, "run_include")
_INSTALLED = ["*/site-packages/*", "*/dist-packages/*"]  # an environment below the root
_WARNINGS = ("no-data-collected", "module-not-measured", "module-not-imported",
             "already-imported", "couldnt-parse", "no-sysmon", "no-ctracer")  # fmt: skip


def close(data: Any) -> None:
    """Close data that are ours: from Python 3.13 on, what is left open warns when it goes."""
    if not hasattr(data, "close"):  # coverage 7.6
        return
    try:
        data.close(force=True)  # also what lies in memory only
    except TypeError:  # coverage before that argument
        data.close()


def running() -> Any | None:
    """Return the data of a ``coverage run`` around this process, or None."""
    import sys

    if "coverage" not in sys.modules:
        return None
    import coverage

    current = coverage.Coverage.current()
    if current is None or not getattr(current, "_started", False):
        return None
    with _quiet():
        return current.get_data()


def read(path: Path) -> Any:
    """Read the data that a worker left; raise `AqeError` when there are none."""
    import coverage

    data = coverage.CoverageData(str(path))
    try:
        if not path.exists():
            raise AqeError(f"{path} is not here: what its worker ran is unmeasured")
        data.read()
    except coverage.CoverageException as error:
        raise AqeError(f"{path} cannot be read ({error}); what its worker ran is unmeasured") from (
            error
        )
    return data


def measured(
    origin: str,
    parts: Sequence[Any],
    root: Path,
    rootdir: Path,
    wanted: Mapping[str, Path],
) -> Measured:
    """Say what was covered of the files ``wanted``, named from the git root.

    ``parts`` are the data of one or several processes. Files that hold no data were not
    imported: all of them is missing, unless coverage is configured to leave them out.
    """
    with _quiet():
        whole = _combined(parts, rootdir)
        data = whole.get_data()
        files: dict[str, FileCoverage] = {}
        branches = bool(data.has_arcs()) or not data.measured_files()
        contexts = any(name for name in data.measured_contexts())
        real = {str(Path(name).resolve()): name for name in data.measured_files()}
        silent = {path for path in wanted.values() if str(path.resolve()) not in real}
        left_out = silent - _chosen(whole, silent)
        wanted = {file: path for file, path in wanted.items() if path not in left_out}
        report, notes = _report(whole, wanted.values())
        for file, path in wanted.items():
            found = report.get(path)
            if found is None:
                continue
            name = real.get(str(path.resolve()))
            files[file] = FileCoverage(
                file,
                frozenset(found["executed_lines"]),
                frozenset(found["missing_lines"]),
                _arcs(found, "executed_branches") if branches else None,
                _arcs(found, "missing_branches") if branches else None,
                _by_test(data, name) if contexts else None,
            )
        close(data)
    return Measured(origin, files, tuple(notes))


def measured_files(parts: Sequence[Any]) -> set[Path]:
    """Return the files that any of the data know."""
    with _quiet():
        return {Path(name) for part in parts for name in part.measured_files()}


def _combined(parts: Sequence[Any], rootdir: Path) -> Coverage:
    import coverage

    whole = coverage.Coverage(
        data_file=None, config_file=_configuration(rootdir), branch=None, messages=False
    )
    for part in parts:
        whole.get_data().update(part)
    return whole


def _configuration(rootdir: Path) -> str | bool:
    """Return where coverage is configured: at rootdir, else where coverage itself looks."""
    own = rootdir / _CONFIGURATION
    return str(own) if own.is_file() else True


def _chosen(whole: Coverage, paths: Collection[Path]) -> set[Path]:
    """Return those of the files that coverage would measure if they were imported.

    Its report knows ``include`` and ``omit`` of a report alone, so these are lent those of the
    run.
    """
    config = vars(whole.config)  # some options are newer than coverage 7.6
    sources = [source for name in _SOURCES for source in config.get(name) or ()]
    found = {path for path in paths if not sources or _is_of(path, sources)}
    include = None if sources else config["run_include"]
    omit = config["run_omit"]
    if not found or not (include or omit):
        return found
    report, _ = _report(whole, found, include or None, omit or None)
    return found & report.keys()


def _is_of(path: Path, sources: Sequence[str]) -> bool:
    """Tell whether a file is in one of these folders, or packages."""
    name, folder = path.with_suffix("").parts, path.parent
    top = len(folder.parts)
    while (folder / "__init__.py").is_file():
        folder, top = folder.parent, top - 1
    dotted = ".".join((*name[top:], ""))
    return any(
        path.is_relative_to(Path(source).absolute())
        if Path(source).is_dir()
        else dotted.startswith(f"{source}.")
        for source in sources
    )


def _report(
    whole: Coverage,
    paths: Iterable[Path],
    include: list[str] | None = None,
    omit: list[str] | None = None,
) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """Return coverage's own JSON report: the one public way to jumps that were not taken."""
    import coverage

    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="aqe-") as folder:
        target = Path(folder) / "coverage.json"
        try:
            whole.json_report(
                morfs=[str(path) for path in paths],
                outfile=str(target),
                ignore_errors=True,
                show_contexts=False,
                include=include,
                omit=omit,
            )
        except coverage.CoverageException as error:
            return {}, [f"coverage cannot report ({error}); gaps are unknown"]
        found = json.loads(target.read_text("utf-8"))["files"]
    return {here / name: entry for name, entry in found.items()}, []


def _arcs(entry: Mapping[str, Any], key: str) -> frozenset[Arc]:
    return frozenset((source, target) for source, target in entry.get(key, ()))


def _by_test(data: Any, name: str | None) -> dict[NodeId, frozenset[int]]:
    """Return the lines by test; a context of pytest-cov is ``node id|phase``."""
    if name is None:
        return {}
    lines: dict[NodeId, set[int]] = defaultdict(set)
    for line, contexts in data.contexts_by_lineno(name).items():
        for context in contexts:
            if context:
                lines[_node_id(context)].add(line)
    return {node_id: frozenset(found) for node_id, found in lines.items()}


def _node_id(context: str) -> NodeId:
    node_id, bar, phase = context.rpartition("|")
    return node_id if bar and phase in ("setup", "run", "teardown") else context


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep coverage's warnings to ourselves: under ``-W error`` they would be errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
