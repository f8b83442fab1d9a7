"""Measures coverage in every process that runs tests, where nobody else does it already."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.errors import AqeError
from pytest_aqe.evidence import coverage
from pytest_aqe.evidence.identity import git_root
from pytest_aqe.faults import Faults

if TYPE_CHECKING:
    from pytest_aqe.evidence.coverage import Meter

FOLDER = "coverage"  # in .aqe; what workers leave there is read and removed at the session's end


class Measuring:
    """Own the measurement of this process, or know whose it is."""

    def __init__(self, config: Any, faults: Faults, folder: Path) -> None:
        self._config = config
        self._faults = faults
        self._folder = folder / FOLDER
        self._meter: Meter | None = None
        self._parts: list[Any] = []
        self.origin = "coverage.py"

    def start(self) -> None:
        """Begin, before conftests import what is to be measured."""
        known = self._config.known_args_namespace
        if getattr(known, "cov_source", None) and not getattr(known, "no_cov", False):
            self.origin = "pytest-cov"
        elif coverage.running() is not None:
            self.origin = "coverage run"
        else:
            rootdir = self._config.rootpath
            self._meter = coverage.Meter(git_root(rootdir) or rootdir, rootdir)
            self._meter.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Charge what runs to the test."""
        meter = self._meter
        if meter is None:
            return (yield)
        meter.switch(item.nodeid)
        try:
            return (yield)
        finally:
            meter.switch("")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, Any, Any]:
        """Leave a worker's data where the controller finds them, before xdist says goodbye."""
        try:
            return (yield)
        finally:
            given = getattr(self._config, "workerinput", None)
            if self._meter is not None:
                self._meter.stop()
                if given is not None:
                    with self._faults.guard("writing coverage"):
                        path = self._folder / f"{given['testrunuid']}-{given['workerid']}"
                        self._meter.write(path)
                        self._config.workeroutput["aqe_coverage"] = str(path)
                else:  # the session ended before anybody asked
                    with self._faults.guard("closing coverage"):
                        coverage.close(self._meter.data)

    def data(self, left: list[Path]) -> tuple[list[Any], list[str]]:
        """Return the data of all processes, and what is missing of it.

        ``left`` are the files that workers left; they are removed.
        """
        if self.origin == "pytest-cov":
            plugin = self._config.pluginmanager.get_plugin("_cov")
            measuring = getattr(getattr(plugin, "cov_controller", None), "cov", None)
            if measuring is None:
                return [], ["pytest-cov measured nothing; gaps are unknown"]
            return [measuring.get_data()], []
        if self._meter is None:
            found = coverage.running()
            return ([found], []) if found is not None else ([], ["coverage run has ended"])
        meter, self._meter = self._meter, None
        meter.stop()
        parts, notes = [meter.data], []
        for path in left:
            try:
                parts.append(coverage.read(path))
            except AqeError as error:
                notes.append(str(error))
        self._parts = parts
        return parts, notes

    def forget(self, left: list[Path]) -> None:
        """Let go of the data, and remove what workers left."""
        for part in self._parts:
            coverage.close(part)
        self._parts = []
        for path in left:
            path.unlink(missing_ok=True)
