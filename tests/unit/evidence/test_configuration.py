"""What of a configuration file counts: two texts of one meaning are one version."""

from __future__ import annotations

import textwrap

import pytest

from pytest_aqe.evidence.configuration import meaning, parted
from pytest_aqe.evidence.versions import digest


def of(name: str, text: str) -> str:
    """Return the version of an indented text."""
    return meaning(name, textwrap.dedent(text).encode())


PYPROJECT = """
    [build-system]
    requires = ["hatchling"]
    [project]
    name = "proj"
    version = "1"
    description = "One."
    dependencies = ["attrs"]
    scripts = {proj = "proj.cli:main"}
    [project.entry-points.pytest11]
    proj = "proj.plugin"
    [project.optional-dependencies]
    test = ["pytest"]
    [tool.pytest.ini_options]
    addopts = "-ra"
    [tool.ruff]
    line-length = 88
    [tool.mypy]
    strict = true
    [tool.hatch.envs.test]
    env = 1
"""


class TestPyproject:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("88", "100"),
            ("strict = true", "strict = false"),
            ("One.", "Two."),
            ('"proj"\n', '"proj"  # a comment\n\n'),
            ("[tool.mypy]", "[tool.black]\nskip = 1\n[tool.mypy]"),
            ("[tool.mypy]", "[tool.tox]\nenv_list = ['style']\n[tool.mypy]"),
            ("hatchling", "setuptools"),
            ('["pytest"]', '["pytest", "mock"]'),
            ('version = "1"', 'version = "2"'),
            ("[tool.mypy]", "[tool.setuptools]\nx = 1\n[dependency-groups]\ndev = []\n[tool.mypy]"),
        ],
    )
    def test_what_does_not_count(self, old: str, new: str) -> None:
        """Formatters, type checkers, builds, extras, versions and comments change nothing."""
        assert of("pyproject.toml", PYPROJECT.replace(old, new)) == of("pyproject.toml", PYPROJECT)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("-ra", "-rA"),
            ("attrs", "attrs>2"),
            ("cli:main", "cli:run"),
            ("proj.plugin", "proj.other"),
            ("env = 1", "env = 2"),
            ('name = "proj"', 'name = "other"'),
            ("[tool.mypy]", "[tool.unheard-of]\nx = 1\n[tool.mypy]"),
        ],
    )
    def test_what_counts(self, old: str, new: str) -> None:
        """Pytest's options, dependencies, entry points and any unknown tool count."""
        assert of("pyproject.toml", PYPROJECT.replace(old, new)) != of("pyproject.toml", PYPROJECT)

    def test_a_file_in_a_folder(self) -> None:
        """A file further down is read alike."""
        old, new = PYPROJECT, PYPROJECT.replace("88", "100")
        assert of("sub/pyproject.toml", old) == of("sub/pyproject.toml", new)


SETUP = """
    [metadata]
    name = proj
    [options]
    install_requires = attrs
    [options.entry_points]
    pytest11 = proj = proj.plugin
    [tool:pytest]
    addopts = -ra %(here)s
    [flake8]
    max-line-length = 88
    [mypy-foo.*]
    ignore_missing_imports = True
    [tool:isort]
    profile = black
    [bumpversion:file:setup.py]
    search = 1
"""


class TestSetupCfg:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("88", "100"),
            ("True", "False"),
            ("profile = black", "profile = google"),
            ("search = 1", "search = 2"),
            ("name = proj", "name = other"),
            ("= attrs", "= attrs\n    python_requires = >=3.9"),
            ("[flake8]", "[options.extras_require]\n    dev = mypy\n    [flake8]"),
            ("[flake8]", "# a comment\n    [mypy]\n    strict = True\n    [flake8]"),
        ],
    )
    def test_what_does_not_count(self, old: str, new: str) -> None:
        """Formatters, checkers, extras and metadata, however they are written, change nothing."""
        assert of("setup.cfg", SETUP.replace(old, new)) == of("setup.cfg", SETUP)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("-ra", "-rA"),
            ("addopts", "Addopts"),
            ("= attrs", "= attrs>2"),
            ("= proj.plugin", "= proj.other"),
            ("[flake8]", "[unheard-of]\n    x = 1\n    [flake8]"),
            ("[flake8]", "[DEFAULT]\n    x = 1\n    [flake8]"),
        ],
    )
    def test_what_counts(self, old: str, new: str) -> None:
        """Pytest's section, dependencies, entry points, defaults and unknown sections count."""
        assert of("setup.cfg", SETUP.replace(old, new)) != of("setup.cfg", SETUP)


class TestToxIni:
    TEXT = "[tox]\nenvlist = py312\n[testenv]\ndeps = a\n[pytest]\naddopts = -ra\n"

    def test_pytest_reads_one_section(self) -> None:
        """Tox is not running, so of its file only pytest's section counts."""
        assert of("tox.ini", self.TEXT.replace("py312", "py313")) == of("tox.ini", self.TEXT)
        assert of("tox.ini", self.TEXT.replace("-ra", "-rA")) != of("tox.ini", self.TEXT)


UV = """
    version = 1
    requires-python = ">=3.10"
    [[package]]
    name = "proj"
    source = { editable = "." }
    dependencies = [{ name = "attrs" }]
    [[package]]
    name = "attrs"
    version = "25.1.0"
    source = { registry = "https://index.example/simple" }
    sdist = { hash = "sha256:1" }
    [[package]]
    name = "Typing_Extensions"
    version = "4.1"
    source = { registry = "https://index.example/simple" }
    [[package]]
    name = "fork"
    version = "1"
    source = { git = "https://git.example/fork?rev=aaa#aaa" }
"""
POETRY = """
    [[package]]
    name = "attrs"
    version = "25.1.0"
    [[package]]
    name = "typing.extensions"
    version = "4.1"
    [package.source]
    type = "legacy"
    url = "https://one.example/simple"
    [[package]]
    name = "fork"
    version = "1"
    [package.source]
    type = "git"
    url = "https://git.example/fork"
    resolved_reference = "aaa"
    [metadata]
    content-hash = "12"
"""
PDM = """
    [[package]]
    name = "attrs"
    version = "25.1.0"
    [[package]]
    name = "typing-extensions"
    version = "4.1"
    [[package]]
    name = "fork"
    version = "1"
    git = "https://git.example/fork"
    revision = "aaa"
"""
LOCKS = {"uv.lock": UV, "poetry.lock": POETRY, "pdm.lock": PDM}


class TestLockFiles:
    INSTALLED = ("attrs",)

    def of(self, name: str, text: str) -> str:
        return parted(name, textwrap.dedent(text).encode(), self.INSTALLED)[0]

    @pytest.mark.parametrize("name", LOCKS)
    def test_the_versions_of_packages_of_an_index(self, name: str) -> None:
        """They go by the names under which they are installed."""
        content = textwrap.dedent(LOCKS[name]).encode()
        both = ("attrs", "typing-extensions")
        assert parted(name, content, both)[1] == {"attrs": "25.1.0", "typing-extensions": "4.1"}
        assert parted(name, content, self.INSTALLED)[1] == {"attrs": "25.1.0"}

    def test_two_versions_of_one(self) -> None:
        """Each of them may be installed, on another Python."""
        content = b"[[package]]\nname='a'\nversion='2'\n[[package]]\nname='a'\nversion='1'\n"
        assert parted("uv.lock", content, "a")[1] == {"a": "1 or 2"}

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [*((name, "25.1.0", "25.2.0") for name in LOCKS), ("uv.lock", "sha256:1", "sha256:2")],
    )
    def test_what_differs_with_what_is_installed(self, name: str, old: str, new: str) -> None:
        """The version of an installed package, and where the same version is loaded from."""
        assert old in LOCKS[name]
        assert self.of(name, LOCKS[name].replace(old, new)) == self.of(name, LOCKS[name])

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [
            *((name, "4.1", "4.2") for name in LOCKS),
            *((name, "aaa", "bbb") for name in LOCKS),
            ("uv.lock", ">=3.10", ">=3.11"),
            ("uv.lock", '[{ name = "attrs" }]', "[]"),
            ("uv.lock", "registry =", "unheard-of ="),
            ("poetry.lock", "12", "13"),
        ],
    )
    def test_what_counts(self, name: str, old: str, new: str) -> None:
        """Packages that are not installed, or not of an index, and all that is no package."""
        assert old in LOCKS[name]
        assert self.of(name, LOCKS[name].replace(old, new)) != self.of(name, LOCKS[name])

    @pytest.mark.parametrize(
        "content",
        [b"package = 1\n", b"package = ['attrs']\n", b"[[package]]\nname = 'a'\n", b"\xff"],
    )
    def test_one_of_another_shape(self, content: bytes) -> None:
        """Its bytes count."""
        assert parted("uv.lock", content, self.INSTALLED) == (digest(content), {})


class TestFallback:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("pyproject.toml", b"[tool.ruff\n"),
            ("pyproject.toml", b"[tool.ruff]\nx = '\xff'\n"),
            ("pyproject.toml", b"tool = 1\n"),
            ("pyproject.toml", b"project = 1\n"),
            ("setup.cfg", b"no section\n"),
            ("setup.cfg", b"[a]\nx = \xff\n"),
            ("tox.ini", b"[pytest\n"),
            ("poetry.lock", b"[tool.ruff]\n"),
            ("uv.lock", b"[[package]]\nname = 'attrs'\n"),
            ("requirements.txt", b"attrs\n"),
        ],
    )
    def test_the_bytes_decide(self, name: str, content: bytes) -> None:
        """A file that is broken, or that nobody here reads, is its bytes."""
        assert meaning(name, content) == digest(content)
        assert meaning(name, content) != meaning(name, content + b"# x\n")
