"""Files that are no Python, and folders: how a test reads them, or looks for them."""

from __future__ import annotations

from .case import Case


def _file(name: str, path: str, before: str, after: str | None, check: str, top: str = "") -> Case:
    """One file, one test that reads it in its own body, and one that does not."""
    return Case(
        name,
        f"""
-- {path} --
{before}
-- test_shop.py --
import os
from pathlib import Path
{top}
HERE = Path(__file__).parent

def test_file():
    assert {check}
def test_none():
    assert HERE.name
""",
        change={path: after},
        selected={"test_file"},
        spared={"test_bystander", "test_none"},
    )


CASES: tuple[Case, ...] = (
    _file("open", "a/rate.txt", "2", "3\n", "int(open(HERE / 'a/rate.txt').read()) == 2"),
    _file("pathlib", "rate.txt", "2", "3\n", "int((HERE / 'rate.txt').read_text()) == 2"),
    _file("bytes", "rate.bin", "2", "3\n", "(HERE / 'rate.bin').read_bytes() == b'2\\n'"),
    _file(
        "low-level open",
        "rate.txt",
        "2",
        "3\n",
        "os.read(os.open(HERE / 'rate.txt', os.O_RDONLY), 1) == b'2'",
    ),
    _file(
        "json",
        "rates.json",
        '{"gold": 2}',
        '{"gold": 3}\n',
        "json.loads((HERE / 'rates.json').read_text())['gold'] == 2",
        "import json",
    ),
    _file(
        "csv",
        "rates.csv",
        "gold,2",
        "gold,3\n",
        "next(csv.reader(open(HERE / 'rates.csv')))[1] == '2'",
        "import csv",
    ),
    _file(
        "configuration file of the project's own",
        "shop.ini",
        "[shop]\nrate = 2",
        "[shop]\nrate = 3\n",
        "configparser.ConfigParser().read(HERE / 'shop.ini') and READ.read(HERE / 'shop.ini') "
        "and READ['shop']['rate'] == '2'",
        "import configparser\nREAD = configparser.ConfigParser()",
    ),
    _file(
        "xml",
        "rates.xml",
        "<rates gold='2'/>",
        "<rates gold='3'/>\n",
        "ElementTree.parse(HERE / 'rates.xml').getroot().get('gold') == '2'",
        "from xml.etree import ElementTree",
    ),
    _file(
        "template",
        "templates/page.html",
        "<p>$name</p>",
        "<b>$name</b>\n",
        "Template((HERE / 'templates/page.html').read_text()).substitute(name='x') == "
        "'<p>x</p>\\n'",
        "from string import Template",
    ),
    _file(
        "linecache",
        "rates.txt",
        "2",
        "3\n",
        "linecache.getline(str(HERE / 'rates.txt'), 1) == '2\\n'",
        "import linecache",
    ),
    _file(
        "memory map",
        "rates.txt",
        "2",
        "3\n",
        "mmap.mmap(os.open(HERE / 'rates.txt', os.O_RDONLY), 0, prot=mmap.PROT_READ)[:1] == b'2'",
        "import mmap",
    ),
    _file(
        "copy of a file",
        "rates.txt",
        "2",
        "3\n",
        "Path(shutil.copy(HERE / 'rates.txt', tempfile.mkdtemp())).read_text() == '2\\n'",
        "import shutil, tempfile",
    ),
    _file(
        "size of a file",
        "rates.txt",
        "2",
        "23\n",
        "(HERE / 'rates.txt').stat().st_size == 2",
    ),
    _file("deleted file", "rate.txt", "2", None, "(HERE / 'rate.txt').exists()"),
    _file("deleted file that was read", "rate.txt", "2", None, "open(HERE / 'rate.txt').read()"),
    _file(
        "source file read as data",
        "shop.py",
        "# two\nRATE = 2",
        "# three\nRATE = 2\n",
        "'two' in (HERE / 'shop.py').read_text()",
    ),
    _file(
        "source of a function read as data",
        "shop.py",
        "def price():\n    return 2  # two",
        "def price():\n    return 2  # three\n",
        "'two' in inspect.getsource(shop.price)",
        "import inspect\nimport shop",
    ),
    _file(
        "extension by its path, in bytes",
        "fast.dat",
        "2",
        "3\n",
        "zlib.crc32((HERE / 'fast.dat').read_bytes()) == zlib.crc32(b'2\\n')",
        "import zlib",
    ),
)
