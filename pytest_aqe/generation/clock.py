"""Another time of day for a process: what passes only today fails there.

Replaces the classes and functions by which Python code asks for the time, before the project
is imported. The clock goes on from the given moment. Waiting and measuring (monotonic,
perf_counter) are as ever.
"""

from __future__ import annotations

import datetime
import time
from typing import Any


def install(start: float) -> None:
    """Let the process believe that it is ``start``, in seconds since 1970."""
    real_time, real_localtime, real_gmtime = time.time, time.localtime, time.gmtime
    real_strftime, real_ctime = time.strftime, time.ctime
    offset = start - real_time()

    def now() -> float:
        return real_time() + offset

    def localtime(seconds: float | None = None) -> time.struct_time:
        return real_localtime(now() if seconds is None else seconds)

    def gmtime(seconds: float | None = None) -> time.struct_time:
        return real_gmtime(now() if seconds is None else seconds)

    replaced: dict[str, Any] = {
        "time": now,
        "time_ns": lambda: int(now() * 1e9),
        "localtime": localtime,
        "gmtime": gmtime,
        "strftime": lambda form, moment=None: real_strftime(form, moment or localtime()),
        "ctime": lambda seconds=None: real_ctime(now() if seconds is None else seconds),
    }
    for name, value in replaced.items():
        setattr(time, name, value)
    real_date, real_datetime = datetime.date, datetime.datetime

    class Kind(type):
        """Real dates, which C code makes, are dates too."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real_datetime if cls is moved_datetime else real_date)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, real_datetime if cls is moved_datetime else real_date)

    def today(cls: Any) -> Any:
        return cls.fromtimestamp(now())

    def now_in(cls: Any, tz: Any = None) -> Any:
        return cls.fromtimestamp(now(), tz)

    def utcnow(cls: Any) -> Any:
        return cls.fromtimestamp(now(), datetime.timezone.utc).replace(tzinfo=None)

    # the names show in repr, which is why they are those of the real ones
    moved_date: Any = Kind("datetime.date", (real_date,), {"today": classmethod(today)})
    moved_datetime: Any = Kind(
        "datetime.datetime",
        (real_datetime,),
        {
            "today": classmethod(today),
            "now": classmethod(now_in),
            "utcnow": classmethod(utcnow),
            "date": lambda self: moved_date(self.year, self.month, self.day),
            "combine": classmethod(
                lambda cls, date, moment, tzinfo=True: cls.fromisoformat(
                    real_datetime.combine(
                        real_date(date.year, date.month, date.day), moment
                    ).isoformat()
                ).replace(tzinfo=moment.tzinfo if tzinfo is True else tzinfo)
            ),
        },
    )
    for made in (moved_date, moved_datetime):
        made.__module__ = "datetime"
    moved_datetime.min = moved_datetime(1, 1, 1)
    moved_datetime.max = moved_datetime(9999, 12, 31, 23, 59, 59, 999999)
    moved_date.min, moved_date.max = moved_date(1, 1, 1), moved_date(9999, 12, 31)
    datetime.date, datetime.datetime = moved_date, moved_datetime  # type: ignore[misc]
