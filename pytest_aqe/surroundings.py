"""What there was for the tests of a session to depend on: written to the run file."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

from pytest_aqe.controller import Controller
from pytest_aqe.data import Identity, SetKey, Version
from pytest_aqe.evidence import tree
from pytest_aqe.evidence.configuration import CONFIGURATION
from pytest_aqe.evidence.contents import contents_in
from pytest_aqe.evidence.versions import ABSENT, UNSTABLE
from pytest_aqe.history.runfile import RunFileWriter

_CLOCKS = 2.0  # seconds by which the clock of a file system may be late


class Surroundings:
    """Files, settings and packages as tests were decided by, and as they met them.

    Where tests were selected, what counts is what there was then: what appears later has been
    seen by nobody who was left out, or ran before.
    """

    def __init__(self, controller: Controller, folder: Path) -> None:
        self._controller = controller
        self._folder = folder  # of the history, for what is known of contents
        self._started = time.time()
        self._sets: set[SetKey] = set()
        self._files: dict[str, Version] = {}
        self._told: set[str] = set()
        self._everything: dict[str, Version] | None = None

    @cached_property
    def there(self) -> Mapping[str, Version | None]:
        """What there was before the first test: Python files, settings, installed packages."""
        selected = self._controller.selected
        if selected is None or not selected.state:
            from pytest_aqe.evidence.ground import state

            return state(self._controller.ground, ())
        there: dict[str, Version | None] = {}
        for file, version in selected.state.items():
            if file.startswith((CONFIGURATION, tree.INSTALLED)):
                there[file] = version
            elif file.endswith(".py") and version != ABSENT:
                there[file] = None
        return there

    def begin(self, writer: RunFileWriter) -> None:
        """Write what there was, and all that tests may depend on which nobody follows."""
        writer.append_files(self.there)
        if self._controller.plan.carried:
            known = self.there.items()
            carried = {file: it for file, it in self._decided_by.items() if file != tree.PROJECT}
            self.keep(writer, {}, dict(carried.items() - known))

    def keep(
        self,
        writer: RunFileWriter,
        sets: Mapping[SetKey, Mapping[str, list[str]]],
        files: Mapping[str, Version],
    ) -> None:
        """Write the sets and files that a worker saw for the first time, each once."""
        for key, content in sets.items():
            if key not in self._sets:
                self._sets.add(key)
                writer.append_set(key, content)
        files = {
            file: UNSTABLE if self._has_appeared(file, version) else version
            for file, version in files.items()
        }
        fresh = {
            file: version
            for file, version in files.items()
            if self._files.setdefault(file, version) != version or file not in self._told
        }
        self._told |= fresh.keys()
        if fresh:
            writer.append_files(fresh)

    def keep_everything(self, writer: RunFileWriter) -> None:
        """Write every file of the project, once: a test may have used any of them."""
        if self._everything is None:
            self._everything = self._look_at_everything()
            writer.append_files(self._everything)

    def finish(self, writer: RunFileWriter) -> None:
        """Write what the files consist of, which of them changed meanwhile, and who was left out.

        Those are the tests that were here, by the run that nothing of them has changed since.
        """
        selected, told = self._controller.selected, self._controller.told()
        since = self._left_out(told.get("others"))
        parsed = {file for file, _ in self._controller.parsed}
        left = {file: it for file, it in self._decided_by.items() if file in parsed}
        self._keep_pieces(writer, {**left, **self._files} if since else self._files)
        self._look_again(writer)
        if self._files and (counts := told.get("files")):
            writer.append_collected(counts)
        if since and selected is not None:
            writer.append_clean(since, selected.state)

    @cached_property
    def _decided_by(self) -> Mapping[str, Version]:
        """The files that selection was decided by, as they were then."""
        selected = self._controller.selected
        state = selected.state if selected is not None else {}
        return {file: version for file, version in state.items() if version is not None}

    def _left_out(self, elsewhere: Collection[Identity] | None) -> dict[str, list[Identity]]:
        selected = self._controller.selected
        if selected is None or elsewhere is None or not self._controller.plan.follows:
            return {}
        others = frozenset(elsewhere)
        since = {
            run_id: [name for name in names if name not in others]
            for run_id, names in selected.since.items()
        }
        return {run_id: names for run_id, names in since.items() if names}

    def _has_appeared(self, file: str, version: Version) -> bool:
        """Tell a module that was not there before the first test, which may have looked for it.

        One that is older stands where nobody looks for modules: behind a link to a folder.
        """
        if not file.endswith(".py") or version == ABSENT or file in self.there:
            return False
        try:
            status = (self._controller.root / file).stat()
        except OSError:
            return True
        return tree.is_looked_into(file) and status.st_ctime >= self._started - _CLOCKS

    def _keep_pieces(self, writer: RunFileWriter, files: Mapping[str, Version]) -> None:
        """Write what the Python files of this run consist of, where the history lacks it.

        A file that was edited while the tests ran is not what they saw: it stays unknown.
        """
        if not files:
            return
        from pytest_aqe.evidence.readings import pieces_of
        from pytest_aqe.evidence.syntax import forget_trees
        from pytest_aqe.evidence.versions import digest

        root = self._controller.root
        for file, version in files.items():
            if not file.endswith(".py") or (file, version) in self._controller.parsed:
                continue
            try:
                source = (root / file).read_bytes()
            except OSError:
                continue
            if digest(source) == version:
                found = pieces_of(source)
                writer.append_pieces(file, version, found.checksums, found.inert)
                forget_trees()

    def _look_again(self, writer: RunFileWriter) -> None:
        """Tell which files changed under tests that may have used any of them."""
        if self._everything:
            now = self._look_at_everything()
            changed = {
                file: now.get(file, ABSENT)
                for file, version in self._everything.items()
                if file != tree.PROJECT and now.get(file) != version
            }
            if changed:
                writer.append_files(changed)

    def _look_at_everything(self) -> dict[str, Version]:
        contents = contents_in(self._folder)
        found = tree.everything(self._controller.root, contents)
        contents.keep()
        return found
