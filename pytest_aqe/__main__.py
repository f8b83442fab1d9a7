"""``python -m pytest_aqe`` is ``pytest-aqe``."""

import sys

from pytest_aqe.cli import main

sys.exit(main())
