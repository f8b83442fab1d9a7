"""A world without surprises for every test: no CI, no settings from outside, a plain git.

No test fails because the machine is slow, either: hypothesis would count seconds. Under tox it
draws the same examples in each run of the same code: what a gate says is the code's doing.
Plain ``pytest`` draws new ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.forks import Runs

settings.register_profile(
    "any machine",
    deadline=None,
    derandomize="TOX_ENV_NAME" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")

_FOREIGN = (
    "BITBUCKET_",
    "BUILDKITE",
    "CIRCLE",
    "CI_",
    "GIT_",
    "GITHUB_",
    "GITLAB_",
    "PYTEST_AQE_",
    "PYTEST_XDIST_",
    "TRAVIS",
)
_FOREIGN_NAMES = {
    "BUILD_NUMBER",  # pytest takes it for CI too, and then prints more
    "CI",
    "JENKINS_URL",
    "PYTEST_ADDOPTS",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "PYTEST_PLUGINS",
    "PYTHONHASHSEED",
    "TF_BUILD",
}
_GIT = {
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out what a CI service or a developer's shell would add."""
    for name in list(os.environ):
        if name in _FOREIGN_NAMES or name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    for name, value in _GIT.items():
        monkeypatch.setenv(name, value)
    # A test file rewritten within one second, at one size, would run from its old bytecode.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture(scope="session")
def runs() -> Iterator[Runs | None]:
    """A process that forks a run of pytest for every request, where processes can be forked."""
    if not hasattr(os, "fork"):
        yield None
        return
    started = Runs(os.environ)
    yield started
    started.close()
