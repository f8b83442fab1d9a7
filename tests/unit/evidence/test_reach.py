"""How far what a module binds reaches: whoever can notice is told, and not everybody is."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_aqe.data import MAIN, Pieces
from pytest_aqe.evidence.differences import Differences, Differing
from pytest_aqe.evidence.pieces import MODULE, pieces


class Project:
    """Files on disk; a test that imported some of them, ran functions and opened files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._old: dict[tuple[str, str], Pieces] = {}
        self._edited: list[Differing] = []

    def write(self, **files: str) -> Project:
        """Write files by name, ``__`` for a slash."""
        for name, text in files.items():
            self._write(name.replace("__", "/") + ".py", text)
        return self

    def data(self, file: str, text: str) -> Project:
        self._write(file, text)
        return self

    def edit(self, old: str, new: str, file: str = "a.py") -> Project:
        """Change a text in a file that a run saw as it is now."""
        before = (self._root / file).read_text()
        assert old in before
        return self.rewrite(before, before.replace(old, new), file)

    def rewrite(self, before: str, after: str, file: str = "a.py") -> Project:
        self._old[file, "old"] = pieces(textwrap.dedent(before).encode())
        self._write(file, after)
        self._edited.append(Differing(1, file, "old", True))
        return self

    def reaches(self, *ran: str, but: str = "") -> bool:
        """Tell whether the edits reach a test that imported every file, ``but`` one.

        ``ran`` are ``f`` of a.py, ``b.py::f``, or files that it opened.
        """
        files = sorted(path.relative_to(self._root).as_posix() for path in self._all())
        python = [file for file in files if file.endswith(".py")]
        own = {(file, MODULE) for file in python if file != but}
        for each in ran:
            file, _, name = each.rpartition("::")
            own.add((each, "") if each in files else (file or "a.py", name))
        differences = Differences(self._root, python, lambda *key: self._old.get(key))
        effect = differences.effect(self._edited, {*files}, {*files})
        if any((file, name) in own for _, file, name in effect.changed if name is not None):
            return True
        return any(
            (file, MODULE) in own and not own.isdisjoint(noticing)
            for _, file, noticing in effect.conditional
        )

    def _all(self) -> list[Path]:
        return [path for path in self._root.rglob("*") if path.is_file()]

    def _write(self, file: str, text: str) -> None:
        path = self._root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path).write(z="import a")


def test_a_program_uses_a_name_for_itself(project: Project) -> None:
    """Neither what it does with a constant nor what it binds is there for who imports it."""
    project.write(
        a="RATE = 2\ndef f(): return 1\n",
        b="""
        from a import RATE, f
        if __name__ == "__main__":
            f = RATE
            print(f)
        def g(): return f()
        """,
    )
    project.edit("RATE = 2", "RATE = 3")
    assert project.reaches(f"b.py::{MAIN}")
    assert not project.reaches("f", "b.py::g")


class TestConstant:
    @pytest.mark.parametrize(
        "user",
        [
            "from a import X\ndef f(): return X",
            "import a\ndef f(): return a.X",
            "def f():\n    from a import X as Y\n    return Y",
            "from a import X as Y\ndef f(): return Y",
            "from a import *\ndef f(): return X",
            "import a\ndef f(): return getattr(a, 'X')",
            "import a\ndef f(name): return getattr(a, name)",
            "import a\ndef f(): return vars(a)",
            "import a as k\ndef f(): return vars(k)",
            "import a\ndef f(): return make(a)",
            "import a\ndef f(): return eval('x', a.__dict__)",
            "def f(monkeypatch): monkeypatch.setattr('a.X', 1)",
            "from a import X\ndef f(y=X): return y",
            "from a import X\nY = X\ndef f(): return Y",
            "from a import X\nY = (1, {'a': [X]})\ndef f(): return Y",
            "from a import X\nY = f'{X}'\ndef f(): return Y",
            "from a import X\nY = [X for _ in 'ab']\ndef f(): return Y",
            "from a import X\nY = lambda: X\ndef f(): return Y()",
            "from a import X\nY = Z = X\ndef f(): return Z",
            "from a import X\nY, Z = X, 1\ndef f(): return Y",
            "from a import X\nY = (Z := X)\ndef f(): return Z",
            "from a import X\nY = 1 if X else 2\nZ = Y\ndef f(): return Z",
            "from a import X\nclass C:\n    y = X\ndef f(): return C().y",
            "from a import X\nclass C:\n    y = X\nclass D(C): pass\ndef f(): return D().y",
            "from a import X\nclass C:\n    y = X\n    def f(self): return self.y",
            "from a import X\nclass C:\n    y = X\nclass D(C):\n    def f(self): return self.y",
            "import sys\nimport a\ndef f(name): return getattr(sys.modules['a'], name)",
            "from importlib import import_module\ndef f(m, n): return vars(import_module(m))[n]",
        ],
    )
    def test_who_uses_it(self, project: Project, user: str) -> None:
        """A function that says the name, or gets it on, notices; one beside it does not."""
        project.write(a="X = 1", b=f"{user}\ndef g(): pass").edit("1", "2")
        name = "f" if "\ndef f" in f"\n{user}" else f"{user.rpartition('class ')[2][0]}.f"
        assert project.reaches(f"b.py::{name}")

    @pytest.mark.parametrize(
        "user",
        [
            "def f(): return 1",
            "from a import X\ndef f(): return 1",
            "import a\nY = 2\ndef f(): return Y",
            "from a import X\nclass C:\n    y = X\nclass D:\n    def f(self): return self.y",
            "import a\ndef f(): return getattr(a, 'Y')",
            "from a import X\n__all__ = ['X']\ndef f(): pass",
            "from a import X, Y\ndef f(): return Y",
        ],
    )
    def test_who_does_not(self, project: Project, user: str) -> None:
        """A module that only imports the name is not reached, nor what uses others."""
        project.write(a="X = 1", b=f"{user}\ndef g(): return X").edit("1", "2")
        assert not project.reaches("b.py::f")
        assert project.reaches("b.py::g")

    @pytest.mark.parametrize(
        "user",
        [
            "make(X)",
            "Y = make(X)",
            "Y = partial(make, X)",
            "REGISTRY[X] = 1",
            "Y, REGISTRY['y'] = X, X",
            "REGISTRY.x = X",
            "REGISTRY += X",
            "for each in X: Y = each",
            "if X:\n    Y = 1",
            "if (Y := X): pass",
            "while X: pass",
            "with X: pass",
            "try:\n    X\nexcept NameError: pass",
            "assert X",
            "[each for each in make(X)]",
            "@make(X)\ndef g(): pass",
            "@make\ndef g(y=X): pass",
            "@make\ndef g(y: X): pass",
            "@app.get('/')\ndef g(y: 'list[X]'): pass",
            "@make\nclass C:\n    y = X",
            "@make(X)\nclass C: pass",
            "class C(Registered):\n    y = X",
            "class C(metaclass=M):\n    y = X",
            "class C(Other, y=X): pass",
            "class C:\n    y = make(X)",
            "class C:\n    @make(X)\n    def m(self): pass",
            "class C:\n    @make\n    def m(self, y: X): pass",
            "NAMES = ['a.X']",
            "print('{X}'.format(**globals()))",
            "pytestmark = X",
            "pytest_plugins = X",
        ],
    )
    def test_what_acts_at_import(self, project: Project, user: str) -> None:
        """Where it is used otherwise than to bind a name, who needs that module is reached."""
        project.write(a="X = 1", b=f"from a import X\n{user}\ndef f(): pass").edit("1", "2")
        assert project.reaches("b.py::f")
        assert not project.reaches("b.py::f", but="b.py")

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("X = 1\nX += 1", "X = 2\nX += 1"),
            ("X = 1\ndel X", "X = 2\ndel X"),
            (
                "X = 1\ndef g():\n    global X\n    X = 3",
                "X = 2\ndef g():\n    global X\n    X = 3",
            ),
            ("if a: X = 1", "if a: X = 2"),
            ("for X in 1, 2: pass", "for X in 1, 3: pass"),
            ("X = make(1)", "X = make(2)"),
            ("X = [y for y in '1']", "X = [y for y in '2']"),
            ("a.X = 1", "a.X = 2"),
            ("(X := 1)", "(X := 2)"),
            ("Y = (X := 1)", "Y = (X := 2)"),
            ("__all__ = ['X']", "__all__ = ['Y']"),
            ("X = 1\nprint(X)", "print(X)\nX = 1"),
            ("X = 1\nfrom m import *\n", "from m import *\nX = 1"),
            (
                "def g(): pass\ntest_b = g\ndef h(): pass",
                "def g(): pass\ntest_b = h\ndef h(): pass",
            ),
            ("import m\nfixture = m.one", "import m\nfixture = m.two"),
        ],
    )
    def test_what_is_more_than_a_name(self, project: Project, before: str, after: str) -> None:
        """What is bound twice, by a loop, a call or a condition, or in another order, is all's."""
        project.write(b="def f(): X").rewrite(before, after)
        assert project.reaches("b.py::f")

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("X = 1", ""),
            ("X = 1", "class Y: pass"),
            ("import json as X", ""),
            ("class X: pass", ""),
        ],
    )
    def test_what_is_gone(self, project: Project, before: str, after: str) -> None:
        """Who imports a name that nothing binds any more fails, whatever uses it."""
        project.write(b="from a import X\ndef f(): pass", c="import a\ndef f(): a.Y")
        project.rewrite(before, after)
        assert project.reaches("b.py::f")
        assert project.reaches("c.py::f", but="b.py") == ("Y" in after)

    def test_a_star_that_lists_what_is_gone(self, project: Project) -> None:
        """``__all__`` fails whoever takes all, when it lists what is gone."""
        project.write(a="__all__ = ['X']\nX = 1", b="from a import *\ndef f(): pass")
        assert project.edit("X = 1", "").reaches("b.py::f")

    def test_moved_over_a_star(self, project: Project) -> None:
        """A name bound above a star import may be another one below it."""
        project.write(b="from a import X\ndef f(): return X", m="X = 2")
        project.rewrite("X = 1\nfrom m import *\n", "from m import *\nX = 1\n")
        assert project.reaches("b.py::f")

    def test_what_ran_at_import(self, project: Project) -> None:
        """A function that ran while a module was imported is in its tests' sets."""
        project.write(a="X = 1", b="from a import X\ndef g(): return X\nY = g()\ndef f(): Y")
        assert project.edit("1", "2").reaches("b.py::g")


class TestReadByOthers:
    def test_a_name_that_nobody_uses(self, project: Project) -> None:
        """A framework may read by name what no source of the project names."""
        project.write(a="INSTALLED = ['x']\nX = 1", b="from a import X\ndef f(): pass")
        assert project.edit("'x'", "'y'").reaches("b.py::f")

    def test_what_a_module_says_of_itself(self, project: Project) -> None:
        """A version is for people."""
        project.write(a="__version__ = '1'\nX = 1", b="from a import X\ndef f(): pass")
        assert not project.edit("'1'", "'2'").reaches("b.py::f")

    @pytest.mark.parametrize(
        "other",
        ["NAME = 'proj.settings'", "def g(app): app.load('proj.settings')"],
    )
    def test_a_module_that_a_text_names(self, project: Project, other: str) -> None:
        """A dotted path in a text is how frameworks are told of a module."""
        project.write(proj__settings="X = 1", b="from proj.settings import X\ndef f(): pass")
        project.write(c=other).edit("1", "2", "proj/settings.py")
        assert project.reaches("b.py::f")

    @pytest.mark.parametrize(
        "file, reached", [("docs/conf.py", False), ("setup.py", False), ("app.py", True)]
    )
    def test_a_word_that_names_it(self, project: Project, file: str, reached: bool) -> None:
        """It says what a project is called in files that no session runs."""
        project.write(b="from shop import X\ndef f(): pass\ndef g(): X")
        project.data("shop/__init__.py", "X = 1").data(file, "project = 'shop'")
        project.edit("1", "2", "shop/__init__.py")
        assert project.reaches("b.py::f") is reached

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            ("pytest.ini", "[pytest]\nDJANGO_SETTINGS_MODULE = proj.settings\n"),
            ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '--ds=proj.settings'\n"),
        ],
    )
    def test_a_module_that_a_setting_names(self, project: Project, file: str, text: str) -> None:
        """A settings module is read by name, whoever imports it besides."""
        project.write(proj__settings="X = 1", b="from proj import settings\ndef f(): pass")
        project.data(file, text).edit("1", "2", "proj/settings.py")
        assert project.reaches("b.py::f")

    def test_an_entry_point_names_a_function(self, project: Project) -> None:
        """``proj.cli:main`` says what it takes."""
        project.write(proj__cli="X = 1", b="from proj.cli import X\ndef f(): pass\ndef g(): X")
        project.data("pyproject.toml", "[project.scripts]\nproj = 'proj.cli:main'\n")
        assert not project.edit("1", "2", "proj/cli.py").reaches("b.py::f")

    def test_a_module_that_nobody_imports(self, project: Project) -> None:
        """What loads a plugin by a computed name may take all it has."""
        project.write(plugins__one="X = 1", b="def f(): pass\ndef g(): X")
        assert project.edit("1", "2", "plugins/one.py").reaches("b.py::f")

    def test_a_module_given_away(self, project: Project) -> None:
        """Who gives a module to others lets them look; who sets one name says which."""
        project.write(
            a="X = 1\nY = 1",
            b="import a\ndef f(app): app.from_object(a)\ndef g(m): m.setattr(a, 'Y', 2)\nX = a.X",
        ).edit("X = 1", "X = 2")
        assert project.reaches("b.py::f")
        assert not project.reaches("b.py::g")

    def test_a_module_under_another_name(self, project: Project) -> None:
        """A module is held by any name it was imported or assigned to, in any file."""
        project.write(a="X = 1", b="import a as k\nX = k.X", c="from b import k\ndef f(n): vars(k)")
        assert project.edit("1", "2").reaches("c.py::f")

    def test_a_function_that_loads_modules(self, project: Project) -> None:
        """Who calls what imports by a text may look names up in what it gets."""
        project.write(
            a="X = 1",
            b="from importlib import import_module\ndef load(name): return import_module(name)",
            c="from b import load\ndef f(name): return vars(load(name))",
            d="import a\nprint(a.Y)",
        )
        assert project.edit("1", "2").reaches("c.py::f")

    @pytest.mark.parametrize("file", ["data.yaml", "README.md", "model.pickle"])
    def test_a_file_that_names_it(self, project: Project, file: str) -> None:
        """A file that a test opened may have the name: a setting, a doctest, a pickle."""
        project.write(a="class X:\n    y = 1", b="from a import X\ndef g(): X")
        project.data(file, "class: a.X\n").data("other.yaml", "class: a.Y\n").edit("1", "2")
        assert project.reaches(file)
        assert not project.reaches("other.yaml")

    def test_a_doctest_of_something_else(self, project: Project) -> None:
        """An example in a docstring is run by who runs the file's text."""
        project.write(a="X = 1", b="def f():\n    '''\n    >>> import a; a.X\n    1\n    '''")
        assert project.edit("1", "2").reaches("b.py")


CONTRACT = """
    class Contract:
        def test_it(self): assert self.limit
        def check(self): pass
"""


class TestClass:
    def test_an_attribute_of_a_test_class(self, project: Project) -> None:
        """What a test class sets is used by the tests it inherits, which do not name it."""
        project.write(contract=CONTRACT)
        project.write(test_a="from contract import Contract\nclass TestA(Contract):\n    limit = 1")
        project.edit("1", "2", "test_a.py")
        assert project.reaches("contract.py::Contract.test_it")
        assert project.reaches("contract.py::Contract.check")

    def test_a_constant_in_a_test_class(self, project: Project) -> None:
        """So does a constant that it hands on."""
        project.write(contract=CONTRACT, a="X = 1")
        project.write(
            test_a="from a import X\nfrom contract import Contract\n"
            "class TestA(Contract):\n    limit = X"
        )
        assert project.edit("1", "2").reaches("contract.py::Contract.test_it")

    def test_another_base(self, project: Project) -> None:
        """A test class with another base has other tests of the same names."""
        project.write(contract=CONTRACT + "    class Other(Contract): pass\n")
        project.write(
            test_a="from contract import Contract, Other\nclass TestA(Contract):\n    x = 1"
        )
        project.edit("TestA(Contract)", "TestA(Other)", "test_a.py")
        assert project.reaches("contract.py::Contract.test_it")

    @pytest.mark.parametrize(
        "base",
        [
            "class Base:\n    def __init_subclass__(cls): pass",
            "class Base:\n    __init_subclass__ = classmethod(print)",
            "class Meta(type): pass\nclass Base(metaclass=Meta): pass",
            "class Root:\n    def __init_subclass__(cls): pass\nclass Base(Root): pass",
            "from elsewhere import Root\nclass Base(Root): pass",
            "class Base(Base): pass",
            "if x:\n    class Base: pass",
            "class Base: pass\nclass Base: pass",
            "Base = make()",
            "from elsewhere import Base",
            "from m import *",
        ],
    )
    def test_a_base_that_may_register(self, project: Project, base: str) -> None:
        """A class whose base may do anything with it is a matter of its whole module."""
        project.write(base=base, other="class Base: pass")
        project.write(a="from base import Base\nclass C(Base):\n    x = 1\n", b="def f(): C")
        assert project.edit("1", "2").reaches("f")

    @pytest.mark.parametrize(
        "head",
        [
            "from django.db import models\nclass C(models.Base):",
            "from django.db.models import Base\nclass C(Base):",
            "db = make()\nclass C(db.Base):",
            "import other\nBase = other.Base\nclass C(Base):",
            "from graphene import Enum\nclass C(Enum):",
            "from mytests import FieldTestCase\nclass C(FieldTestCase):",
            "from other import Base\nclass C(Base, x=2):",
            "@register\nclass C:",
        ],
    )
    def test_a_base_of_the_same_name(self, project: Project, head: str) -> None:
        """A class elsewhere, or in the project, that is called alike says nothing of a base."""
        project.write(other="class Base: pass", a=f"{head}\n    x = 1\n", b="def f(): C")
        assert project.edit("x = 1", "x = 3").reaches("f")

    @pytest.mark.parametrize(
        "head",
        [
            "class C:",
            "from enum import Enum\nclass C(Enum):",
            "import typing as t\nclass C(t.NamedTuple):",
            "import abc\nclass C(abc.ABC):",
            "class C(dict):",
            "class C(ValueError):",
            "from elsewhere import SomeError\nclass C(SomeError):",
            "from pkg.base import Base\nclass C(Base):",
            "from pkg import Base\nclass C(Base):",
            "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass C:",
            "class B: pass\nclass C(B):",
        ],
    )
    def test_a_plain_class(self, project: Project, head: str) -> None:
        """An attribute of a plain class matters to who names the class, and its methods."""
        project.data("pkg/__init__.py", "from .base import Base\n")
        project.write(pkg__base="class Base: pass")
        project.write(
            a=f"{head}\n    x: int = 1\n    def m(self): pass\ndef f(): pass\ndef g(): C\n",
            b="from a import C as D\ndef g(): D",
        ).edit("int = 1", "int = 2")
        assert not project.reaches("f")
        assert project.reaches("g")
        assert project.reaches("C.m")
        assert project.reaches("b.py::g")

    def test_a_descriptor_that_is_told_of_its_class(self, project: Project) -> None:
        """Where anything is told the class it becomes part of, no class only binds."""
        project.write(
            field="class Field:\n    def __set_name__(self, owner, name): REGISTRY.append(name)",
            a="from field import Field\nF = Field()\nclass C:\n    x = F\ndef f(): pass",
            b="def g(): C",
        )
        assert project.edit("x = F", "y = F").reaches("f")

    @pytest.mark.parametrize("finder", ["Base.__subclasses__()", "pickle.loads(x)"])
    def test_what_finds_classes(self, project: Project, finder: str) -> None:
        """What finds classes without a name notices any, in a function or at import."""
        project.write(base="class Base: pass", a="from base import Base\nclass C(Base):\n    x = 1")
        project.write(
            b=f"def f(): return {finder}", c=f"Y = [{finder}]\ndef g(): Y", d="def h(): C"
        )
        project.edit("1", "2")
        assert project.reaches("b.py::f")
        assert project.reaches("c.py::g")
        assert not project.reaches("d.py::i", but="c.py")

    @pytest.mark.parametrize(
        "user",
        [
            "def f(x): return isinstance(x, C)",
            "def f(x):\n    match x:\n        case C(y): pass",
            "def f(x):\n    try: x()\n    except C: pass",
            "from dataclasses import dataclass\n@dataclass\nclass D:\n    x: C\ndef f(): load(D)",
            "def f(x: C): pass",
            "c = C()\ndef f(): c",
            "import functools\n@functools.singledispatch\ndef h(x): pass\n"
            "@h.register\ndef _(x: C): pass\ndef f(x): h(x)",
        ],
    )
    def test_who_uses_a_class(self, project: Project, user: str) -> None:
        """Its fields, checks against it, and what is dispatched on it are uses."""
        project.write(a="class C:\n    __match_args__ = ('x',)", b=f"from a import C\n{user}")
        assert project.edit("'x'", "'y'").reaches("b.py::f")

    def test_a_nested_class(self, project: Project) -> None:
        """The attributes of a class inside a class are the outer one's."""
        project.write(a="class C:\n    class Meta:\n        x = 1", b="def f(): C\ndef g(): pass")
        project.edit("1", "2")
        assert project.reaches("b.py::f")
        assert not project.reaches("b.py::g")


class TestImport:
    def test_the_standard_library(self, project: Project) -> None:
        """Another module under a name matters to who uses the name."""
        project.write(a="import json as j\ndef f(): j\ndef g(): pass").edit("json", "pickle")
        assert project.reaches("f")
        assert not project.reaches("g")

    @pytest.mark.parametrize(
        ("user", "reached"),
        [
            ("import json as j\nj.loads('1')\ndef f(): return j", False),
            ("import json as j, time\ndef f(): return time.j, j", False),
            ("import a\nimport json as j\ndef f(): return a.j, j", True),
            ("import a\nimport json as j\ndef f(): return getattr(a, 'j')", True),
            ("import json as j\ndef f():\n    from a import j\n    return j", True),
            ("from a import *\nimport json as j\ndef f(): return j", True),
            ("from a import j\ndef f(): return j", True),
            ("import a\nj = a.j\ndef f(): return j", True),
            ("def f(): return j", False),
        ],
    )
    def test_who_imports_it_too(self, project: Project, user: str, reached: bool) -> None:
        """A file that imports the same for itself, or not the module, has nothing of its."""
        project.write(a="import json as j\ndef g(): j", b=user).edit("json", "pickle")
        assert project.reaches("b.py::f") == reached

    def test_a_module_that_the_project_hides(self, project: Project) -> None:
        """A file of the project called like a standard module may act by being imported."""
        project.write(queue="print()", a="import queue\ndef f(): pass\ndef g(): queue")
        assert project.edit("import queue", "import json as queue").reaches("f")

    @pytest.mark.parametrize("text", ["import m", "from . import m", "from test import m"])
    def test_other_modules(self, project: Project, text: str) -> None:
        """An import of the project's, or of a package, runs it."""
        project.write(a="def f(): pass").edit("def", f"{text}\ndef")
        assert project.reaches("f")

    @pytest.mark.parametrize(
        ("user", "reached"),
        [
            ("import xml.dom\ndef f(): xml.dom.minidom", True),
            ("import xml.dom.minidom\ndef f(): xml.dom.minidom", False),
            ("import other\ndef f(): other.minidom", False),
        ],
    )
    def test_a_submodule(self, project: Project, user: str, reached: bool) -> None:
        """A submodule that one file imports is there for all that import what is around it."""
        project.write(a="import xml.dom.minidom\nX = 1", b=user).edit("import xml.dom.minidom", "")
        assert project.reaches("b.py::f") == reached


class TestSignature:
    @pytest.mark.parametrize(
        "user",
        [
            "@patch('a.g', autospec=True)\ndef f(g): run()",
            "def f(): inspect.signature(a.g)",
            "def f(): typer.run(g)",
            "from a import g as h\ndef f(): typer.run(h)",
            "app.command()(g)\ndef f(): app()",
        ],
    )
    def test_who_looks_at_it(self, project: Project, user: str) -> None:
        """A default can be seen without running the function, by who is given it."""
        project.write(a="def g(x=1): pass", b=f"from a import g\n{user}").edit("1", "2")
        assert project.reaches("b.py::f")

    def test_who_calls_it(self, project: Project) -> None:
        """Who calls a function, and did not run it, had something else in its place."""
        project.write(a="def g(x=1): pass", b="from a import g\ndef f(): g()").edit("1", "2")
        assert not project.reaches("b.py::f")
        assert project.reaches("b.py::f", "g")

    @pytest.mark.parametrize("reader", ["create_autospec(c)", "patch(c, autospec=True)"])
    def test_a_method(self, project: Project, reader: str) -> None:
        """Where anything has the signatures of methods read, who names the class may do so."""
        project.write(
            a="class C:\n    def m(self, x=1): pass",
            b="from a import C as D\ndef f(): fake(D)\ndef g(x): isinstance(x, int)",
            c=f"def fake(c): {reader}",
        ).edit("1", "2")
        assert project.reaches("b.py::f")
        assert not project.reaches("b.py::g")

    def test_a_method_that_nobody_looks_at(self, project: Project) -> None:
        """Who names a class does not see the signatures of its methods."""
        project.write(
            a="class C:\n    def m(self, x=1): pass", b="from a import C\ndef f(): return C"
        ).edit("1", "2")
        assert not project.reaches("b.py::f")

    @pytest.mark.parametrize(
        "reader, read",
        [
            ("get_type_hints", True),
            ("Signature.from_callable", True),
            ("st.builds", True),
            ("isinstance", False),
        ],
    )
    def test_an_annotation(self, project: Project, reader: str, read: bool) -> None:
        """Annotations differ for who hands a function on, if anything reads such."""
        project.write(
            a="def g(x: int): pass",
            b=f"from a import g\ndef f(): resolve(g)\ndef resolve(r): {reader}(r)",
        ).edit("int", "str")
        assert project.reaches("b.py::f") == read


class TestOrder:
    @pytest.mark.parametrize(
        ("user", "seen"),
        [
            ("import a\ndef f(): return list(vars(a))", True),
            ("import a\ndef f(): return a.A.__base__.__subclasses__()", True),
            ("import a\ndef f(): return a.A", False),
        ],
    )
    def test_who_lists_names(self, project: Project, user: str, seen: bool) -> None:
        """The order in which names are bound matters to who lists them."""
        a, b = "class A(dict): pass\n", "class B(dict): pass\n"
        project.write(a=a + b, b=user).edit(a + b, b + a)
        assert project.reaches("b.py::f") == seen

    def test_a_new_name(self, project: Project) -> None:
        """A function between others moves none of them."""
        project.write(a="def g(): pass\nX = 1\n", b="def f(c): return c.__subclasses__()")
        project.edit("X", "def h(): pass\nX")
        assert not project.reaches("b.py::f")


class TestTypeChecking:
    @pytest.mark.parametrize(
        ("user", "runs"),
        [
            ("typing.TYPE_CHECKING = True", True),
            ("monkeypatch.setattr(typing, 'TYPE_CHECKING', True)", True),
            ("patch('typing.TYPE_CHECKING', new=True)", True),
            ("from typing import TYPE_CHECKING, Any", False),
            ("TYPE_CHECKING = False", False),
            ("TYPE_CHECKING = getattr(typing, 'TYPE_CHECKING', False)", False),
        ],
    )
    def test_who_says_that_types_are_checked(self, project: Project, user: str, runs: bool) -> None:
        """What is for type checkers runs only where the project says that it is one."""
        project.write(a="if TYPE_CHECKING:\n    import x", b=user).edit("import x", "import y")
        assert project.reaches() == runs


class TestRemade:
    @pytest.mark.parametrize(
        ("code", "runs"),
        [("types.FunctionType(g.__code__, {})", True), ("g.__code__.co_name", False)],
    )
    def test_who_gives_a_function_to_be_made_anew(
        self, project: Project, code: str, runs: bool
    ) -> None:
        """Its body runs as another's, where anything makes functions of code."""
        project.write(
            a="def g(): return 1",
            b="from a import g as h\ndef f(): make(h)\ndef k(): return 1",
            c=f"def make(g): return {code}",
        ).edit("1", "2")
        assert project.reaches("b.py::f") == runs
        assert not project.reaches("b.py::k")


class TestDocstring:
    @pytest.mark.parametrize(
        ("user", "read"),
        [
            ("def f(g): return g.__doc__", True),
            ("import inspect\ndef f(g): return inspect.getdoc(g)", True),
            ("def f(g): return help(g)", True),
            ("import builtins\ndef f(g): return builtins.help(g)", True),
            ("def f(g): return f'{g.__doc__=}'", True),
            ("class C:\n    def f(self): return self.__doc__", False),
            ("def f(g): return g\nf.__doc__ = 'Say.'", False),
            ("def f(g): return g.__doc__\n@f\ndef h(): pass", False),
        ],
    )
    def test_who_reads_that_of_what_it_is_given(
        self, project: Project, user: str, read: bool
    ) -> None:
        """A docstring differs for who reads those of others, a decorator's own excepted."""
        project.write(a="def g():\n    'Sell.'", b=user).edit("Sell", "Buy")
        assert project.reaches("b.py::f", "b.py::C.f") == read

    @pytest.mark.parametrize(
        ("user", "read"),
        [
            ("x = help", True),
            ("x = f'{b.C.__doc__=}'", True),
            ("x = [each.__doc__ for each in b.__subclasses__()]", True),
            ("def f(g): return g\nf.__doc__ = 'Say.'", False),
            ("x = {'inspect.help': 1}", False),
            ("x = parser.add_argument('-v', help='Say more.')", False),
        ],
    )
    def test_who_reads_that_of_an_heir(self, project: Project, user: str, read: bool) -> None:
        """An option's help is another."""
        project.write(a="import b\nclass C(b.B):\n    'Sell.'", b="class B: pass", c=user)
        assert project.edit("Sell", "Buy").reaches() == read

    @pytest.mark.parametrize("reading", ["cls.x = cls.__doc__", "print(getattr(cls, '__doc__'))"])
    def test_a_base_may_read_that_of_its_heirs(self, project: Project, reading: str) -> None:
        """It does so as they are made."""
        base = f"class B:\n    def __init_subclass__(cls): {reading}"
        project.write(a="import b\nclass C(b.B):\n    'Sell.'", b=base).edit("Sell", "Buy")
        assert project.reaches("b.py::B.__init_subclass__")

    def test_who_reads_it_at_import(self, project: Project) -> None:
        """What a module reads at import, it names."""
        project.write(a="def g():\n    'Sell.'", b="import a\nx = a.g.__doc__")
        assert project.edit("Sell", "Buy").reaches()

    def test_who_reads_another_at_import(self, project: Project) -> None:
        """A module that reads docstrings of others reads no other."""
        project.write(a="def g():\n    'Sell.'", b="import c\nx = c.f.__doc__")
        assert not project.edit("Sell", "Buy").reaches()
