"""Work that leaves the process or the thread of the test."""

from __future__ import annotations

from .case import Case, Swap

SPAWNED = """
    -- shop.py --
    import multiprocessing
    def work():
        return 0
    def code(how):
        process = multiprocessing.get_context(how).Process(target=work)
        process.start()
        process.join()
        return process.exitcode
    def pooled(how):
        with multiprocessing.get_context(how).Pool(1) as pool:
            return pool.apply(work)
    -- test_shop.py --
    import shop
    def test_shop():
        assert shop.{call} == 0
    def test_none():
        assert True
    """

CASES: tuple[Case, ...] = (
    *(
        Case(
            f"process that multiprocessing starts anew by {call}",
            SPAWNED.replace("{call}", call),
            change={"shop.py": Swap("return 0", "raise SystemExit(3)")},
            selected={"test_shop"},
            spared={"test_none", "test_bystander"},
        )
        for call in ("code('spawn')", "code('forkserver')")
    ),
    Case(
        "pool of processes that multiprocessing starts anew",
        SPAWNED.replace("{call}", "pooled('spawn')"),
        change={"shop.py": Swap("return 0", "return 1")},
        selected={"test_shop"},
        spared={"test_none", "test_bystander"},
    ),
    Case(
        "script in a child process",
        """
        -- report.py --
        print(2)
        -- test_shop.py --
        import subprocess
        import sys
        from pathlib import Path

        def test_report():
            script = Path(__file__).with_name("report.py")
            assert subprocess.check_output([sys.executable, script]) == b"2\\n"
        def test_none():
            assert True
        """,
        change={"report.py": Swap("2", "3")},
        selected={"test_report"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "what a module does as a program in a child process",
        """
        -- report.py --
        def total():
            return 2
        if __name__ == "__main__":
            print(total())
        -- test_shop.py --
        import subprocess
        import sys
        import report

        def test_report():
            command = [sys.executable, "-m", "report"]
            assert subprocess.check_output(command, text=True).strip() == "2"
        def test_total():
            assert report.total() == 2
        """,
        change={"report.py": Swap("print(total())", "print(total() + 1)")},
        selected={"test_report"},
        spared={"test_total", "test_bystander"},
    ),
    Case(
        "module of a script in a child process",
        """
        -- rates.py --
        RATE = 2
        -- report.py --
        import rates
        print(rates.RATE)
        -- test_shop.py --
        import os
        import sys
        from pathlib import Path

        def test_report():
            script = Path(__file__).with_name("report.py")
            assert os.popen(f'"{sys.executable}" "{script}"').read() == "2\\n"
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_report"},
    ),
    Case(
        "child process of a shared fixture",
        """
        -- report.py --
        print(2)
        -- conftest.py --
        import subprocess
        import sys
        from pathlib import Path
        import pytest

        @pytest.fixture(scope="session")
        def report():
            script = Path(__file__).with_name("report.py")
            return subprocess.check_output([sys.executable, script])
        -- test_shop.py --
        def test_first(report):
            assert report == b"2\\n"
        def test_second(report):
            assert report.strip() == b"2"
        """,
        change={"report.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "process forked with the code in it",
        """
        -- rates.py --
        def rate():
            return 2
        -- test_shop.py --
        import os
        import rates

        def test_rate():
            child = os.fork()
            if child == 0:
                os._exit(rates.rate())
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "multiprocessing",
        """
        -- rates.py --
        def rate(factor):
            return factor * 2
        -- test_shop.py --
        import multiprocessing
        import rates

        def test_rate():
            with multiprocessing.get_context("fork").Pool(1) as pool:
                assert pool.map(rates.rate, [1]) == [2]
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "file that a program of the system reads",
        """
        -- rate.txt --
        2
        -- test_shop.py --
        import subprocess
        from pathlib import Path

        def test_rate():
            here = Path(__file__).parent
            done = subprocess.run(["cat", "rate.txt"], cwd=here, capture_output=True)
            assert done.stdout == b"2\\n"

        def test_none():
            assert subprocess.run(["true"]).returncode == 0
        """,
        change={"rate.txt": "3\n"},
        selected={"test_rate"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "program of the project that is called like one of the system",
        """
        -- bin/cat --
        #!/bin/sh
        . ./rate.sh
        -- rate.sh --
        echo 2
        -- test_shop.py --
        import os, subprocess
        from pathlib import Path

        def test_rate(monkeypatch):
            here = Path(__file__).parent
            monkeypatch.setenv("PATH", str(here / "bin"), prepend=os.pathsep)
            (here / "bin" / "cat").chmod(0o755)
            assert subprocess.run(["cat"], cwd=here, capture_output=True).stdout == b"2\\n"
        """,
        change={"rate.sh": "echo 3\n"},
        selected={"test_rate"},
    ),
    Case(
        "thread",
        """
        -- rates.py --
        def rate(into):
            into.append(2)
        -- test_shop.py --
        import threading
        import rates

        def test_rate():
            into = []
            thread = threading.Thread(target=rates.rate, args=(into,))
            thread.start()
            thread.join()
            assert into == [2]
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "pool of threads that lives on",
        """
        -- rates.py --
        def rate():
            return 2
        -- pools.py --
        from concurrent.futures import ThreadPoolExecutor
        POOL = ThreadPoolExecutor(1)
        -- test_shop.py --
        import pools
        import rates

        def test_first():
            assert pools.POOL.submit(rates.rate).result() == 2
        def test_second():
            assert pools.POOL.submit(rates.rate).result() + 1 == 3
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "server thread that outlives the test that started it",
        """
        -- rates.py --
        def rate():
            return 2
        -- servers.py --
        import queue
        import threading
        import rates

        ASKED, ANSWERED = queue.Queue(), queue.Queue()
        def serve():
            while ASKED.get():
                ANSWERED.put(rates.rate())
        def ask():
            ASKED.put(True)
            return ANSWERED.get()
        -- conftest.py --
        import threading
        import pytest
        import servers

        @pytest.fixture(scope="session")
        def server():
            thread = threading.Thread(target=servers.serve, daemon=True)
            thread.start()
            yield servers
            servers.ASKED.put(False)
            thread.join()
        -- test_shop.py --
        def test_first(server):
            assert server.ask() == 2
        def test_second(server):
            assert server.ask() + 1 == 3
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_first", "test_second"},
    ),
    Case(
        "function in a thread of an event loop",
        """
        -- rates.py --
        def rate():
            return 2
        -- test_shop.py --
        import asyncio
        import rates

        def test_rate():
            assert asyncio.run(asyncio.to_thread(rates.rate)) == 2
        """,
        change={"rates.py": Swap("2", "3")},
        selected={"test_rate"},
    ),
    Case(
        "options by which a program reads more than it is given",
        """
        -- shop.py --
        RATE = 1
        -- words.txt --
        gold
        -- plans.txt --
        iron
        -- list.txt --
        plans.txt
        -- test_shop.py --
        import subprocess
        from pathlib import Path

        def run(*words):
            return subprocess.run(words, cwd=Path(__file__).parent, capture_output=True)
        def test_folder():
            assert run("grep", "-rn", "--include=*.py", "TO" + "DO").returncode == 1
        def test_short():
            assert run("grep", "-r", "TO" + "DO").returncode == 1
        def test_long():
            assert run("grep", "--file=words.txt", "plans.txt").returncode == 1
        def test_joined():
            assert run("grep", "-fwords.txt", "plans.txt").returncode == 1
        def test_missing():
            assert run("cat", "rate.txt").returncode == 1
        def test_none():
            assert run("sort", "-r", "plans.txt").stdout == b"iron\\n"
        """,
        change={"shop.py": "RATE = 1  # TODO\n", "words.txt": "iron\n", "rate.txt": "2\n"},
        selected={"test_folder", "test_short", "test_long", "test_joined", "test_missing"},
        spared={"test_bystander", "test_none"},
    ),
    Case(
        "files that git ignores, and that a child process is given",
        """
        -- .gitignore --
        __pycache__/
        build/
        -- build/tool --
        #!/bin/sh
        echo 2
        -- build/rate.txt --
        2
        -- test_shop.py --
        import subprocess
        import sys
        from pathlib import Path
        BUILD = Path(__file__).with_name("build")

        def test_tool():
            (BUILD / "tool").chmod(0o755)
            assert subprocess.check_output([BUILD / "tool"]) == b"2\\n"
        def test_argument():
            code = "import sys; print(open(sys.argv[1]).read())"
            done = subprocess.check_output([sys.executable, "-c", code, BUILD / "rate.txt"])
            assert done.split() == [b"2"]
        """,
        change={"build/tool": "#!/bin/sh\necho 3\n", "build/rate.txt": "3\n"},
        selected={"test_tool", "test_argument"},
    ),
)
