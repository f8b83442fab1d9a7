"""Learning-driven test intelligence for pytest: a suite that learns from its own past."""

__version__ = "0.1.0"

# Said here because commands know them too, and those do without pytest.
DEFAULT_HISTORY = ".aqe/history.duckdb"
FULL_RUN_PATHS = (
    "pyproject.toml setup.cfg tox.ini noxfile.py pytest.ini pytest.toml .pytest.ini "
    "requirements*.txt constraints*.txt *.lock environment.yml environment.yaml Pipfile"
)
