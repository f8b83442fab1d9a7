"""How Sphinx builds these pages: ``tox -e docs``."""

from importlib.metadata import version as version_of

project = "pytest-aqe"
author = "the pytest-aqe contributors"
copyright = author  # noqa: A001 - the name Sphinx reads
release = version = version_of("pytest-aqe")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "changelog.d"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
smartquotes = False  # `--` is a flag, not a dash
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_title = "pytest-aqe"
html_static_path = ["_static"]
