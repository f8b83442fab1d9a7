"""Files that come, go or move, listings of folders, resources, and code kept as data."""

from __future__ import annotations

from .case import Case, Swap

CASES: tuple[Case, ...] = (
    Case(
        "file that appears",
        """
        -- test_shop.py --
        from pathlib import Path

        def test_file():
            assert not Path(__file__).with_name("rate.txt").exists()
        def test_none():
            assert True
        """,
        change={"rate.txt": "2\n"},
        selected={"test_file"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "file that appears and is opened",
        """
        -- test_shop.py --
        from pathlib import Path

        def rate():
            try:
                return int(Path(__file__).with_name("rate.txt").read_text())
            except FileNotFoundError:
                return 2
        def test_file():
            assert rate() == 2
        """,
        change={"rate.txt": "3\n"},
        selected={"test_file"},
    ),
    Case(
        "moved file",
        """
        -- data/rate.txt --
        2
        -- test_shop.py --
        from pathlib import Path

        def test_file():
            assert (Path(__file__).parent / "data" / "rate.txt").read_text() == "2\\n"
        """,
        change={"data/rate.txt": None, "moved/rate.txt": "2\n"},
        selected={"test_file"},
    ),
    Case(
        "listing of a folder",
        """
        -- data/one.txt --
        1
        -- test_shop.py --
        import os
        from pathlib import Path
        DATA = Path(__file__).parent / "data"

        def test_listdir():
            assert len(os.listdir(DATA)) == 1
        def test_scandir():
            assert len(list(os.scandir(DATA))) == 1
        def test_iterdir():
            assert len(list(DATA.iterdir())) == 1
        def test_glob():
            assert len(list(DATA.glob("*.txt"))) == 1
        """,
        change={"data/two.txt": "2\n"},
        selected={"test_listdir", "test_scandir", "test_iterdir", "test_glob"},
    ),
    Case(
        "walk over a tree",
        """
        -- data/a/b/one.txt --
        1
        -- test_shop.py --
        import os
        from pathlib import Path
        DATA = Path(__file__).parent / "data"

        def test_walk():
            assert sum(len(files) for _, _, files in os.walk(DATA)) == 1
        def test_rglob():
            assert len(list(DATA.rglob("*.txt"))) == 1
        """,
        change={"data/a/b/two.txt": "2\n"},
        selected={"test_walk", "test_rglob"},
    ),
    Case(
        "walk over the sources",
        """
        -- shop/__init__.py --
        # (c) Ada
        -- test_shop.py --
        from pathlib import Path

        def test_header():
            for path in Path(__file__).with_name("shop").rglob("*.py"):
                assert path.read_text().startswith("# (c)")
        """,
        change={"shop/new.py": "RATE = 2\n"},
        selected={"test_header"},
    ),
    Case(
        "resource of a package",
        """
        -- shop/__init__.py --
        -- shop/rate.txt --
        2
        -- test_shop.py --
        import pkgutil
        from importlib import resources

        def test_files():
            assert (resources.files("shop") / "rate.txt").read_text() == "2\\n"
        def test_get_data():
            assert pkgutil.get_data("shop", "rate.txt") == b"2\\n"
        """,
        change={"shop/rate.txt": "3\n"},
        selected={"test_files", "test_get_data"},
    ),
    Case(
        "file read at import",
        """
        -- rate.txt --
        2
        -- shop.py --
        from pathlib import Path
        RATE = int(Path(__file__).with_name("rate.txt").read_text())
        -- test_shop.py --
        import shop

        def test_rate():
            assert shop.RATE == 2
        """,
        change={"rate.txt": "3\n"},
        selected={"test_rate"},
    ),
    Case(
        "file beside the working folder",
        """
        -- data/rate.txt --
        2
        -- test_shop.py --
        from pathlib import Path

        def test_rate(monkeypatch):
            monkeypatch.chdir(Path(__file__).parent / "data")
            assert open("rate.txt").read() == "2\\n"
        """,
        change={"data/rate.txt": "3\n"},
        selected={"test_rate"},
    ),
    Case(
        "pickled object of the project",
        """
        -- shop.py --
        def price():
            return 2
        -- price.pickle --
        cshop
        price
        .
        -- test_shop.py --
        import pickle
        from pathlib import Path

        def test_price():
            price = pickle.loads(Path(__file__).with_name("price.pickle").read_bytes())
            assert price() == 2
        """,
        change={"shop.py": Swap("2", "3")},
        selected={"test_price"},
    ),
    Case(
        "pickle that names another object",
        """
        -- shop.py --
        def price():
            return 2
        def total():
            return 3
        -- price.pickle --
        cshop
        price
        .
        -- test_shop.py --
        import pickle
        from pathlib import Path

        def test_price():
            price = pickle.loads(Path(__file__).with_name("price.pickle").read_bytes())
            assert price() == 2
        """,
        change={"price.pickle": "cshop\ntotal\n.\n"},
        selected={"test_price"},
    ),
    Case(
        "code executed from a file",
        """
        -- rules.txt --
        price = 2
        -- test_shop.py --
        from pathlib import Path

        def test_price():
            path = Path(__file__).with_name("rules.txt")
            space = {}
            exec(compile(path.read_text(), str(path), "exec"), space)
            assert space["price"] == 2
        """,
        change={"rules.txt": "price = 3\n"},
        selected={"test_price"},
    ),
    Case(
        "database that SQLite opens",
        """
        -- test_shop.py --
        import sqlite3
        from pathlib import Path

        def test_tables():
            with sqlite3.connect(Path(__file__).with_name("shop.sqlite")) as connection:
                tables = connection.execute("select name from sqlite_master").fetchall()
            connection.close()
            assert tables == []
        -- shop.sqlite --
        """,
        change={
            "shop.sqlite": "no database, and long enough for SQLite to look at its header" * 20
        },
        selected={"test_tables"},
    ),
)
