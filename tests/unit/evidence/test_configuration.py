"""What of a configuration file counts: two texts of one meaning are one version."""

from __future__ import annotations

import textwrap

import pytest

from pytest_aqe.evidence.configuration import meaning
from pytest_aqe.evidence.versions import ABSENT, digest


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
    [[package]]
    name = "fork"
    version = "1"
    source = { git = "https://git.example/fork?rev=aaa#aaa" }
    [[package]]
    name = "wheel-of-ours"
    version = "1"
    source = { url = "https://files.example/a.whl" }
    [[package]]
    name = "beside"
    version = "1"
    source = { directory = "beside" }
"""
POETRY = """
    [[package]]
    name = "attrs"
    version = "25.1.0"
    [[package]]
    name = "inner"
    version = "1"
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
    name = "fork"
    version = "1"
    git = "https://git.example/fork"
    revision = "aaa"
"""


class TestLockFiles:
    @pytest.mark.parametrize(
        ("name", "text", "old", "new"),
        [
            ("uv.lock", UV, "25.1.0", "25.2.0"),
            ("uv.lock", UV, ">=3.10", ">=3.11"),
            ("uv.lock", UV, '[{ name = "attrs" }]', "[]"),
            ("poetry.lock", POETRY, "25.1.0", "25.2.0"),
            ("poetry.lock", POETRY, "one.example", "two.example"),
            ("poetry.lock", POETRY, "12", "13"),
            ("pdm.lock", PDM, "25.1.0", "25.2.0"),
        ],
    )
    def test_what_does_not_count(self, name: str, text: str, old: str, new: str) -> None:
        """A package of an index is what its installed version says."""
        assert old in text
        assert of(name, text.replace(old, new)) == of(name, text)

    @pytest.mark.parametrize(
        ("name", "text", "old", "new"),
        [
            ("uv.lock", UV, "#aaa", "#bbb"),
            ("uv.lock", UV, "a.whl", "b.whl"),
            ("uv.lock", UV, '"beside" }', '"aside" }'),
            ("uv.lock", UV, "registry =", "unheard-of ="),
            ("poetry.lock", POETRY, '"aaa"', '"bbb"'),
            ("pdm.lock", PDM, '"aaa"', '"bbb"'),
        ],
    )
    def test_what_counts(self, name: str, text: str, old: str, new: str) -> None:
        """Another commit or another file may come under the same version."""
        assert old in text
        assert of(name, text.replace(old, new)) != of(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tox.ini", "[tox]\nenvlist = py312\n"),
        ("setup.cfg", "[flake8]\nmax-line-length = 88\n"),
        ("uv.lock", "[[package]]\nname = 'attrs'\nsource = {registry = 'https://index.example'}\n"),
        ("poetry.lock", "package = []\n"),
    ],
)
def test_a_file_of_which_nothing_counts_might_be_absent(name: str, text: str) -> None:
    """So it may come and go; ``pyproject.toml`` may not: pytest looks for the file itself."""
    assert of(name, text) == ABSENT
    assert of("pyproject.toml", "[tool.ruff]\nline-length = 88\n") != ABSENT


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
            ("uv.lock", b"package = 1\n"),
            ("uv.lock", b"package = ['attrs']\n"),
            ("Cargo.lock", b"[[package]]\nname = 'attrs'\n"),
            ("requirements.txt", b"attrs\n"),
        ],
    )
    def test_the_bytes_decide(self, name: str, content: bytes) -> None:
        """A file that is broken, or that nobody here reads, is its bytes."""
        assert meaning(name, content) == digest(content)
        assert meaning(name, content) != meaning(name, content + b"# x\n")
