"""What the system itself enforces on a process that runs generated code, and its children.

Landlock (Linux 5.13) keeps it from reading and writing outside of what it was given, and from
signalling others (6.12); a seccomp filter (Linux 3.5) refuses network sockets of every kind,
programs and tracing, and in the process that runs a single test also new processes. Neither
needs privileges, neither can be taken off again. Together they cost 1 ms (measured).

Numbers are those of the kernel's headers: landlock.h, seccomp.h, bpf_common.h, unistd.h.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

CPU = 30  # seconds for a whole child; each test has its own limit inside
MEMORY = 4 << 30  # bytes of address space
FILE = 32 << 20  # bytes in one file
FILES = 256  # open at once
PROCESSES = 512  # of the user; not for root, whom the filter in the leaf stops

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_RULE_PATH_BENEATH = 1
_ABI_QUESTION = 1
_READ = 0b1101  # execute, read_file, read_dir
_LIST = 0b1000  # read_dir: names, no contents
_WRITE_OF_FILE = 0b10  # write_file, which alone holds for a device
_FS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many rights the kernel knows
_NET = 0b11  # bind and connect TCP
_SCOPED = 0b11  # abstract sockets and signals
_NOTHING_BUT_SCOPES = struct.pack("QQQ", 0, 0, _SCOPED)
_END_WITH_PARENT = 1
_NO_NEW_PRIVS = 38
_SET_SECCOMP, _FILTER = 22, 2

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOENT, _ENOSYS, _EACCES = 1, 2, 38, 13
_AF_UNIX = 1
_CLONE_THREAD = 0x10000


@dataclass(frozen=True, slots=True)
class _Machine:
    """An architecture: its audit number and those of its system calls."""

    audit: int
    socket: int
    execve: int
    execveat: int
    forks: tuple[int, ...]
    clone: int
    kill: tuple[int, ...]
    never: tuple[int, ...]


# never: ptrace, mount, umount2, unshare, setns, bpf, io_uring_setup, process_vm_writev,
# perf_event_open, keyctl, add_key, pidfd_send_signal, userfaultfd, reboot, kexec_load
_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 41, 59, 322, (57, 58), 56, (62, 234),
        (101, 165, 166, 272, 308, 321, 425, 311, 298, 250, 248, 424, 323, 169, 246),
    ),
    "aarch64": _Machine(
        0xC00000B7, 198, 221, 281, (), 220, (129, 131),
        (117, 40, 39, 97, 268, 280, 425, 271, 241, 219, 217, 424, 282, 142, 104),
    ),
}  # fmt: skip
_CLONE3 = 435


def limit(seconds: int = CPU) -> None:
    """Limit CPU time, memory, files and processes of this process and what it starts."""
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
        (getattr(resource, "RLIMIT_AS", None), MEMORY),
        (getattr(resource, "RLIMIT_NPROC", None), PROCESSES),
    ):
        if kind is None:
            continue
        with suppress(ValueError, OSError):  # macOS has no limit on memory
            _, hard = resource.getrlimit(kind)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))


def confine(readable: Iterable[str], writable: Sequence[str], outside: str) -> list[str]:
    """Confine this process for good; return the layers that hold, tried out.

    ``outside`` is a folder that must not be writable from now on. What the system lacks is
    left out of the list, never raised.
    """
    if sys.platform != "linux":
        return []
    libc = _libc()
    layers = []
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        abi = _abi()
        if abi > 0 and _landlock(libc, abi, readable, writable) and not _can_write(outside):
            layers.append(f"Landlock {abi}")
        if _Filter(_outer_rules()).install(libc) and not _can_open_socket():
            layers.append("seccomp")
    return layers


def prepare_leaf() -> None:
    """Make what `confine_leaf` needs, before the fork: each page that a leaf writes is copied."""
    if sys.platform == "linux":
        _abi()
        _leaf_filter()


def confine_leaf() -> None:
    """Refuse new processes, and signals to any other process, for this process for good.

    It ends with the process that forked it.
    """
    if sys.platform != "linux":
        return
    libc = _libc()
    libc.prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if _abi() >= 6:
        _restrict(libc, _ruleset(libc, _NOTHING_BUT_SCOPES))
    _leaf_filter().install(libc)


def is_enforced(layers: Sequence[str]) -> bool:
    """Tell whether neither the project's files nor the network can be reached."""
    return any(layer.startswith("Landlock") for layer in layers) and "seccomp" in layers


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _abi() -> int:
    """Return which version of Landlock the kernel has; none is negative."""
    version: int = _libc().syscall(_CREATE_RULESET, None, 0, _ABI_QUESTION)
    return version


def _landlock(
    libc: ctypes.CDLL, abi: int, readable: Iterable[str], writable: Sequence[str]
) -> bool:
    everything = (1 << _FS_BY_ABI.get(abi, 16)) - 1
    attributes = [everything, _NET if abi >= 4 else None, _SCOPED if abi >= 6 else None]
    known = [each for each in attributes if each is not None]
    ruleset = _ruleset(libc, struct.pack(f"{len(known)}Q", *known))
    if ruleset < 0:
        return False
    _allow(libc, ruleset, "/", _LIST)  # pytest lists the folders above what it collects
    for path in readable:
        _allow(libc, ruleset, path, _READ & everything)
    for path in writable:
        _allow(libc, ruleset, path, everything)
    _allow(libc, ruleset, os.devnull, _WRITE_OF_FILE | 0b100)
    return _restrict(libc, ruleset)


def _ruleset(libc: ctypes.CDLL, attributes: bytes) -> int:
    found: int = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    return found


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - pathlib is not needed for one question
            rights &= 0b111 | 1 << 14  # what holds for a file: execute, write, read, truncate
        rule = struct.pack("=Qi", rights, place)
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


def _restrict(libc: ctypes.CDLL, ruleset: int) -> bool:
    if ruleset < 0:
        return False
    done: int = libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return done == 0


def _can_write(folder: str) -> bool:
    probe = f"{folder}/.aqe-probe-{os.getpid()}"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    os.remove(probe)  # noqa: PTH107
    return True


def _can_open_socket() -> bool:
    import _socket

    try:
        _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


# ------------------------------------------------------------------ the filter

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value
_LOAD, _EQUAL, _SET, _RETURN, _GREATER = 0x20, 0x15, 0x45, 0x06, 0x35
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16  # offsets in seccomp_data
_INSTRUCTION, _VALUE = struct.Struct("HBBI"), struct.Struct("I")
_SELF = 0xFFFFFFFF  # stands for the number of the process, which none has


def _refuse(number: int, error: int) -> list[_Instruction]:
    return [(_LOAD, 0, 0, _NUMBER), (_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]


# asked now: a process may come to believe that it is another machine
_HERE = _MACHINES.get(platform.machine())


def _refuse_unless(
    number: int, test: int, value: int, error: int, *, inverted: bool = False
) -> list[_Instruction]:
    """Refuse a call unless its first argument passes ``test``, or with ``inverted`` if it does."""
    jumps = (0, 1) if inverted else (1, 0)
    return [
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 3, number),
        (_LOAD, 0, 0, _ARGUMENT),
        (test, *jumps, value),
        (_RETURN, 0, 0, _ERRNO | error),
    ]


def _outer_rules() -> list[_Instruction]:
    machine = _HERE
    if machine is None:
        return []
    rules = _refuse_unless(machine.socket, _EQUAL, _AF_UNIX, _EACCES)
    for number in (machine.execve, machine.execveat):
        rules += _refuse(number, _ENOENT)  # what many a program expects: it is not installed
    for number in machine.never:
        rules += _refuse(number, _EPERM)
    return rules


def _leaf_rules() -> list[_Instruction]:
    machine = _HERE
    if machine is None:
        return []
    rules = _refuse_unless(machine.clone, _SET, _CLONE_THREAD, _EPERM)
    rules += _refuse(_CLONE3, _ENOSYS)  # glibc then takes clone, whose flags can be seen
    for number in machine.forks:
        rules += _refuse(number, _EPERM)
    for number in machine.kill:
        rules += _refuse_unless(number, _EQUAL, _SELF, _EPERM)
    return rules


class _Filter:
    """A seccomp program in memory. `install` fills in the number of its process."""

    def __init__(self, rules: Sequence[_Instruction]) -> None:
        machine = _HERE
        program = [
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_EQUAL, 1, 0, machine.audit if machine is not None else 0),
            (_RETURN, 0, 0, _ERRNO | _EPERM),
            (_LOAD, 0, 0, _NUMBER),
            (_GREATER, 0, 1, 0x40000000),  # the x32 numbers, another way to the same calls
            (_RETURN, 0, 0, _ERRNO | _EPERM),
            *rules,
            (_RETURN, 0, 0, _ALLOW),
        ]
        self._is_known = bool(rules)  # on this machine
        self._own = [
            place * _INSTRUCTION.size + _INSTRUCTION.size - _VALUE.size
            for place, (*_, value) in enumerate(program)
            if value == _SELF
        ]
        code = b"".join(_INSTRUCTION.pack(*each) for each in program)
        self._code = ctypes.create_string_buffer(code, len(code))
        self._filters = struct.pack("HxxxxxxP", len(program), ctypes.addressof(self._code))

    def install(self, libc: ctypes.CDLL) -> bool:
        """Put this process under the filter for good; return whether it is."""
        if not self._is_known:
            return False
        for place in self._own:
            _VALUE.pack_into(self._code, place, os.getpid())
        done: int = libc.prctl(_SET_SECCOMP, _FILTER, self._filters, 0, 0)
        return done == 0


@functools.cache
def _leaf_filter() -> _Filter:
    return _Filter(_leaf_rules())
