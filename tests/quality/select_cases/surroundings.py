"""Extensions, the environment, several roots: what stands around the Python code."""

from __future__ import annotations

from .case import NOTHING, Case, Swap

EXTENSION = """
    -- fast.so --
    #define PY_SSIZE_T_CLEAN
    #include <Python.h>
    static PyObject *price(PyObject *self, PyObject *none) { return PyLong_FromLong(2); }
    static PyMethodDef methods[] = {{"price", price, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
    PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
    """


LIBRARY = """
    -- lib/fast.so --
    int price(void) { return 2; }
    """


CASES: tuple[Case, ...] = (
    Case(
        "extension module rebuilt",
        EXTENSION
        + """
    -- test_shop.py --
    import fast

    def test_price():
        assert fast.price() == 2
    """,
        change={"fast.so": EXTENSION.split("--\n", 1)[1].replace("(2)", "(3)")},
        selected={"test_price"},
    ),
    Case(
        "extension module rebuilt behind Python code",
        EXTENSION
        + """
    -- shop.py --
    def price():
        import fast
        return fast.price()
    -- test_shop.py --
    import shop

    def test_first():
        assert shop.price() == 2
    def test_second():
        assert shop.price() + 1 == 3
    """,
        change={"fast.so": EXTENSION.split("--\n", 1)[1].replace("(2)", "(3)")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "shared library rebuilt",
        LIBRARY
        + """
    -- test_shop.py --
    import ctypes
    from pathlib import Path

    def test_price():
        assert ctypes.CDLL(str(Path(__file__).parent / "lib" / "fast.so")).price() == 2
    """,
        change={"lib/fast.so": LIBRARY.split("--\n", 1)[1].replace("2", "3")},
        selected={"test_price"},
    ),
    Case(
        "environment variable of the declared list",
        """
        -- pytest.ini --
        [pytest]
        pythonpath = .
        aqe_environ = SHOP_RATE
        -- test_shop.py --
        import os

        def test_rate():
            assert os.environ.get("SHOP_RATE") == "2"
        def test_bytes():
            assert os.environb[b"SHOP_RATE"] == b"2"
        def test_getenv():
            assert os.getenv("SHOP_RATE") == "2"
        def test_none():
            assert True
        """,
        change={},
        environ={"SHOP_RATE": ("2", "3")},
        selected={"test_rate", "test_getenv", "test_bytes"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "environment variable read at import",
        """
        -- pytest.ini --
        [pytest]
        pythonpath = .
        aqe_environ = SHOP_RATE
        -- shop.py --
        import os
        RATE = os.environ["SHOP_RATE"]
        -- test_shop.py --
        import shop

        def test_rate():
            assert shop.RATE == "2"
        """,
        change={},
        environ={"SHOP_RATE": ("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "environment variable handed to a child process",
        """
        -- pytest.ini --
        [pytest]
        aqe_environ = SHOP_RATE
        -- test_shop.py --
        import subprocess
        import sys

        def test_rate():
            program = "import os; print(os.environ['SHOP_RATE'])"
            assert subprocess.check_output([sys.executable, "-c", program]) == b"2\\n"
        """,
        change={},
        environ={"SHOP_RATE": ("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "mark that narrows what cannot be followed",
        """
        -- report.py --
        print(2)
        -- other.py --
        RATE = 2
        -- test_shop.py --
        import subprocess
        import sys
        from pathlib import Path
        import pytest

        @pytest.mark.aqe_depends("report.py")
        def test_narrow():
            script = Path(__file__).with_name("report.py")
            assert subprocess.check_output([sys.executable, script]) == b"2\\n"
        def test_wide():
            script = Path(__file__).with_name("report.py")
            assert subprocess.check_output([sys.executable, script]) == b"2\\n"
        """,
        change={"other.py": Swap("2", "3")},
        passing={"test_wide"},
        spared={"test_bystander", "test_narrow"},
    ),
    Case(
        "mark that names what cannot be followed",
        """
        -- report.py --
        print(2)
        -- test_shop.py --
        import subprocess
        import sys
        from pathlib import Path
        import pytest

        @pytest.mark.aqe_depends("rep*.py")
        def test_report():
            script = Path(__file__).with_name("report.py")
            assert subprocess.check_output([sys.executable, script]) == b"2\\n"
        """,
        change={"report.py": Swap("2", "3")},
        selected={"test_report"},
    ),
    Case(
        "code outside the folder of pytest",
        """
        -- backend/pytest.ini --
        [pytest]
        pythonpath = . ../shared
        -- backend/test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 2
        -- shared/rates.py --
        RATE = 2
        """,
        change={"shared/rates.py": Swap("2", "3")},
        selected={"test_rate"},
        folder="backend",
    ),
    Case(
        "two roots with files of the same names",
        """
        -- backend/pytest.ini --
        [pytest]
        pythonpath = .
        -- backend/rates.py --
        RATE = 2
        -- backend/test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 2
        -- frontend/pytest.ini --
        [pytest]
        -- frontend/rates.py --
        RATE = 2
        """,
        change={"backend/rates.py": Swap("2", "3")},
        selected={"test_rate"},
        folder="backend",
    ),
    Case(
        "the other of two roots",
        """
        -- backend/pytest.ini --
        [pytest]
        pythonpath = .
        -- backend/rates.py --
        RATE = 2
        -- backend/test_shop.py --
        import rates

        def test_rate():
            assert rates.RATE == 2
        -- frontend/pytest.ini --
        [pytest]
        -- frontend/rates.py --
        RATE = 2
        """,
        change={"frontend/rates.py": Swap("2", "3")},
        spared={"test_rate", "test_bystander"},
        folder="backend",
    ),
    Case(
        "two packages with modules of the same names",
        """
        -- gold/__init__.py --
        -- gold/rates.py --
        def rate():
            return 2
        -- iron/__init__.py --
        -- iron/rates.py --
        def rate():
            return 2
        -- gold/test_shop.py --
        from .rates import rate

        def test_gold():
            assert rate() == 2
        -- iron/test_shop.py --
        from .rates import rate

        def test_iron():
            assert rate() == 2
        """,
        change={"iron/rates.py": Swap("2", "3")},
        selected={"test_iron"},
        spared={"test_bystander", "test_gold"},
    ),
    Case(
        "module of one name in two folders, in turn",
        """
        -- gold/rates.py --
        RATE = 2
        -- iron/rates.py --
        RATE = 1
        -- test_shop.py --
        import importlib
        import sys
        from pathlib import Path
        import pytest

        @pytest.mark.parametrize("folder, rate", [("gold", 2), ("iron", 1)])
        def test_rate(folder, rate, monkeypatch):
            monkeypatch.syspath_prepend(Path(__file__).parent / folder)
            monkeypatch.delitem(sys.modules, "rates", raising=False)
            assert importlib.import_module("rates").RATE == rate
        """,
        change={"iron/rates.py": Swap("1", "3")},
        selected={"test_rate[iron-1]"},
        spared=NOTHING,
    ),
)
