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
        def test_uri():
            path = Path(__file__).with_name("shop.sqlite")
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                assert not connection.execute("select name from sqlite_master").fetchall()
        -- shop.sqlite --
        """,
        change={
            "shop.sqlite": "no database, and long enough for SQLite to look at its header" * 20
        },
        selected={"test_tables", "test_uri"},
    ),
    Case(
        "files opened for update by two tests",
        """
        -- test_shop.py --
        import sqlite3
        from pathlib import Path
        HERE = Path(__file__).parent

        def tables():
            with sqlite3.connect(HERE / "shop.sqlite") as connection:
                return connection.execute("select name from sqlite_master").fetchall()
        def rate():
            with open(HERE / "rate.txt", "r+") as file:
                return file.read()
        def test_first():
            assert tables() == []
        def test_second():
            assert not tables()
        def test_third():
            assert rate() == "2\\n"
        def test_fourth():
            assert rate()[0] == "2"
        -- rate.txt --
        2
        -- shop.sqlite --
        """,
        change={
            "shop.sqlite": "no database, and long enough for SQLite to look at its header" * 20,
            "rate.txt": "3\n",
        },
        selected={"test_first", "test_second", "test_third", "test_fourth"},
    ),
    Case(
        "file that a test writes and restores",
        """
        -- rate.txt --
        2
        -- test_shop.py --
        from pathlib import Path
        RATE = Path(__file__).with_name("rate.txt")

        def test_first():
            before = RATE.read_text()
            RATE.write_text("9")
            assert RATE.read_text() == "9"
            RATE.write_text(before)
        def test_second():
            assert RATE.read_text() == "2\\n"
        """,
        change={"rate.txt": "3\n"},
        selected={"test_second"},
        passing={"test_first"},
    ),
    Case(
        "folder that is asked about and goes",
        """
        -- plugins/gold.txt --
        2
        -- test_shop.py --
        import os
        from pathlib import Path
        PLUGINS = Path(__file__).with_name("plugins")

        def test_isdir():
            assert os.path.isdir(PLUGINS)
        def test_is_dir():
            assert PLUGINS.is_dir()
        def test_exists():
            assert os.path.exists(PLUGINS)
        def test_path_exists():
            assert PLUGINS.exists()
        def test_none():
            assert PLUGINS.name
        """,
        change={"plugins": None},
        selected={"test_isdir", "test_is_dir", "test_exists", "test_path_exists"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "folder that is asked about and comes",
        """
        -- test_shop.py --
        import os
        from pathlib import Path
        PLUGINS = Path(__file__).with_name("plugins")

        def test_isdir():
            assert not os.path.isdir(PLUGINS)
        def test_is_dir():
            assert not PLUGINS.is_dir()
        def test_exists():
            assert not os.path.exists(PLUGINS)
        def test_made():
            cache = PLUGINS.with_name("cache")
            cache.mkdir()
            assert cache.is_dir()
            cache.rmdir()
        """,
        change={"plugins/gold.txt": "2\n"},
        selected={"test_isdir", "test_is_dir", "test_exists"},
        spared={"test_bystander", "test_made"},
    ),
    Case(
        "code that is asked about and goes",
        """
        -- scripts/deploy.py --
        print(2)
        -- names.txt --
        deploy
        -- test_shop.py --
        from pathlib import Path
        HERE = Path(__file__).parent

        def test_exists():
            for name in (HERE / "names.txt").read_text().split():
                assert (HERE / "scripts" / f"{name}.py").exists()
        def test_appears():
            for name in (HERE / "names.txt").read_text().split():
                assert not (HERE / "scripts" / f"_{name}.py").is_file()
        def test_other():
            assert Path(__file__).exists()
        """,
        change={"scripts/deploy.py": None, "scripts/_deploy.py": "print(2)\n"},
        selected={"test_exists", "test_appears"},
        spared={"test_bystander", "test_other"},
    ),
    Case(
        "edit of code that is only asked about",
        """
        -- scripts/deploy.py --
        print(2)
        -- test_shop.py --
        from pathlib import Path

        def test_exists():
            assert Path(__file__).with_name("scripts").joinpath("deploy.py").exists()
        """,
        change={"scripts/deploy.py": Swap("2", "3")},
        spared={"test_bystander", "test_exists"},
    ),
    Case(
        "file that is measured, or found to be missing",
        """
        -- rate.txt --
        2
        -- test_shop.py --
        import os
        from pathlib import Path
        HERE = Path(__file__).parent

        def missing(ask):
            try:
                ask()
            except FileNotFoundError:
                return True
            return False
        def test_lstat():
            assert (HERE / "rate.txt").lstat().st_size == 2
        def test_lexists():
            assert not os.path.lexists(HERE / "price.txt")
        def test_stat():
            assert missing((HERE / "price.txt").stat)
        def test_getsize():
            assert missing(lambda: os.path.getsize(HERE / "price.txt"))
        """,
        change={"rate.txt": "333\n", "price.txt": "2\n"},
        selected={"test_lstat", "test_lexists", "test_stat", "test_getsize"},
    ),
    Case(
        "hidden file in a folder that is listed",
        """
        -- data/one.txt --
        1
        -- test_shop.py --
        import os
        from pathlib import Path

        def test_list():
            assert len(os.listdir(Path(__file__).with_name("data"))) == 1
        """,
        change={"data/.env": "2\n"},
        selected={"test_list"},
    ),
    Case(
        "what tools leave in a folder that is listed",
        """
        -- data/one.txt --
        1
        -- test_shop.py --
        import os
        from pathlib import Path

        def test_list():
            names = os.listdir(Path(__file__).with_name("data"))
            assert "one.txt" in names
        """,
        change={
            "data/.coverage.host.1.XyZ": "2\n",
            "data/.pytest_cache/x": "2\n",
            "data/.one.txt.swp": "2\n",
        },
        spared={"test_bystander", "test_list"},
    ),
    Case(
        "link that leads elsewhere",
        """
        -- one/rate.txt --
        2
        -- two/rate.txt --
        3
        -- current.link --
        one
        -- test_shop.py --
        import os
        from pathlib import Path
        CURRENT = Path(__file__).with_name("current.link")

        def test_resolve():
            assert (CURRENT.resolve() / "rate.txt").read_text() == "2\\n"
        def test_realpath():
            assert open(os.path.realpath(CURRENT / "rate.txt")).read() == "2\\n"
        def test_readlink():
            assert CURRENT.readlink().name == "one"
        def test_other():
            assert Path(__file__).resolve().exists()
        """,
        change={"current.link": "two\n"},
        selected={"test_resolve", "test_realpath", "test_readlink"},
        spared={"test_bystander", "test_other"},
    ),
    Case(
        "glob whose last part is a name",
        """
        -- plugins/gold/plugin.json --
        2
        -- plugins/iron/other.json --
        2
        -- test_shop.py --
        import glob
        from pathlib import Path
        HERE = Path(__file__).parent

        def test_glob():
            assert len(glob.glob(str(HERE / "plugins/*/plugin.json"))) == 1
        def test_root():
            assert len(glob.glob("plugins/*/plugin.json", root_dir=HERE)) == 1
        def test_path():
            assert len(list(HERE.glob("plugins/*/plugin.json"))) == 1
        def test_literal():
            assert not list(HERE.glob("plugins/iron/plugin.json"))
        """,
        change={"plugins/iron/plugin.json": "2\n"},
        selected={"test_glob", "test_root", "test_path", "test_literal"},
    ),
    Case(
        "glob whose last part is the name of a file that goes",
        """
        -- plugins/gold/plugin.json --
        2
        -- plugins/gold/other.json --
        2
        -- test_shop.py --
        import glob
        from pathlib import Path
        HERE = Path(__file__).parent

        def test_glob():
            assert glob.glob(str(HERE / "plugins/*/plugin.json"))
        def test_path():
            assert list(HERE.glob("plugins/*/plugin.json"))
        """,
        change={"plugins/gold/plugin.json": None},
        selected={"test_glob", "test_path"},
    ),
    Case(
        "data that is read through a link that a test makes",
        """
        -- data/rate.txt --
        2
        -- test_shop.py --
        import os
        from pathlib import Path
        DATA = Path(__file__).with_name("data")

        def test_folder(tmp_path):
            (tmp_path / "data").symlink_to(DATA)
            assert (tmp_path / "data" / "rate.txt").read_text() == "2\\n"
        def test_file(tmp_path):
            os.symlink(DATA / "rate.txt", tmp_path / "rate.txt")
            assert (tmp_path / "rate.txt").read_text() == "2\\n"
        def test_relative(tmp_path):
            os.symlink(os.path.relpath(DATA, tmp_path), tmp_path / "data")
            assert (tmp_path / "data" / "rate.txt").read_text() == "2\\n"
        def test_hard_link(tmp_path):
            os.link(DATA / "rate.txt", tmp_path / "rate.txt")
            assert (tmp_path / "rate.txt").read_text() == "2\\n"
        def test_inside():
            link = DATA.with_name("link.txt")
            os.link(DATA / "rate.txt", link)
            assert link.read_text() == "2\\n"
            link.unlink()
        """,
        change={"data/rate.txt": "3\n"},
        selected={"test_folder", "test_file", "test_relative", "test_hard_link", "test_inside"},
    ),
    Case(
        "data in folders that are called like those of tools",
        """
        -- fixtures/site-packages/gold/METADATA --
        2
        -- fixtures/node_modules/gold/package.json --
        2
        -- fixtures/.venv/rate.txt --
        2
        -- fixtures/.tox/rate.txt --
        2
        -- test_shop.py --
        from pathlib import Path
        FIXTURES = Path(__file__).with_name("fixtures")

        def test_site():
            path = FIXTURES / "site-packages" / "gold" / "METADATA"
            assert path.read_text() == "2\\n"
        def test_node():
            path = FIXTURES / "node_modules" / "gold" / "package.json"
            assert path.read_text() == "2\\n"
        def test_venv():
            assert (FIXTURES / ".venv" / "rate.txt").read_text() == "2\\n"
        def test_tox():
            assert (FIXTURES / ".tox" / "rate.txt").read_text() == "2\\n"
        """,
        change={
            "fixtures/site-packages/gold/METADATA": "3\n",
            "fixtures/node_modules/gold/package.json": "3\n",
            "fixtures/.venv/rate.txt": "3\n",
            "fixtures/.tox/rate.txt": "3\n",
        },
        selected={"test_site", "test_node", "test_venv", "test_tox"},
    ),
    Case(
        "source read by modules that are called like pytest's",
        """
        -- rewrite.py --
        def rewrite(path):
            return path.read_text().replace("x", "y")
        -- data/sample.py --
        x = 2
        -- test_shop.py --
        import rewrite
        from pathlib import Path

        def test_rewrite():
            assert rewrite.rewrite(Path(__file__).parent / "data/sample.py") == "y = 2\\n"
        """,
        change={"data/sample.py": "x = 3\n"},
        selected={"test_rewrite"},
    ),
    Case(
        "source that is a resource of a package",
        """
        -- shop/__init__.py --
        -- shop/template.py --
        rate = 2
        -- test_shop.py --
        import pkgutil
        import shop
        from importlib import resources

        def test_get_data():
            assert pkgutil.get_data("shop", "template.py") == b"rate = 2\\n"
        def test_files():
            assert (resources.files("shop") / "template.py").read_text() == "rate = 2\\n"
        def test_none():
            assert shop.__name__ == "shop"
        """,
        change={"shop/template.py": "rate = 3\n"},
        selected={"test_get_data", "test_files"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "source and lines that a second test takes from a cache",
        """
        -- shop.py --
        def price():
            return 2  # two
        def fail():
            raise ValueError
        -- rate.txt --
        2
        -- test_shop.py --
        import inspect
        import linecache
        import traceback
        from pathlib import Path
        import shop
        RATE = str(Path(__file__).with_name("rate.txt"))

        def test_source():
            assert "# two" in inspect.getsource(shop.price)
        def test_second_source():
            assert inspect.getsource(shop.price).endswith("two\\n")
        def test_lines():
            assert "# two" in linecache.getline(shop.__file__, 2)
        def test_line():
            assert linecache.getline(RATE, 1) == "2\\n"
        def test_second_line():
            assert linecache.getlines(RATE) == ["2\\n"]
        def test_trace():
            try:
                shop.fail()
            except ValueError:
                assert "ValueError" in traceback.format_exc()
        """,
        change={"rate.txt": "3\n", "shop.py": Swap("# two", "# 2")},
        selected={
            *("test_source", "test_second_source", "test_lines"),
            *("test_line", "test_second_line"),
        },
        spared={"test_bystander", "test_trace"},
    ),
)
