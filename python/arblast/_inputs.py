"""What callers may give for tables, times and threads."""

import os
import sys
import time
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any

from . import _native


def is_frame(value: Any) -> bool:
    """Rows by columns of any library, or a mapping of names to sequences."""
    speaks_arrow = hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")
    return speaks_arrow or isinstance(value, Mapping) or _is_pandas(value)


def table(frame: Any, columns: list[str] | None = None) -> _native.Table:
    """The frame as a table, without copies where its library speaks Arrow; of pandas only these columns, if they are known."""
    if _is_pandas(frame):
        return _of_pandas(frame, columns)
    if isinstance(frame, Mapping):
        return _native.Table.from_columns(dict(frame))
    if not is_frame(frame):
        raise TypeError(
            f"no table: {type(frame).__module__}.{type(frame).__name__}; wanted is a pyarrow, polars or pandas table, anything with "
            "__arrow_c_stream__, or a dict of lists"
        )
    return _native.Table.from_arrow(frame)


def _is_pandas(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _of_pandas(frame: Any, columns: list[str] | None) -> _native.Table:
    wanted = [name for name in columns or () if name in frame.columns]
    if wanted:
        frame = frame[list(dict.fromkeys(wanted))]
    frame = frame.reset_index(drop=True)
    try:
        return _native.Table.from_arrow(frame)
    except ImportError:  # pandas speaks Arrow by pyarrow only
        return _native.Table.from_columns({str(name): _plain(frame[name]) for name in frame.columns})


def _plain(column: Any) -> list[Any]:
    """The values as Python's own; times as text."""
    values = [None if missing else value for value, missing in zip(column.tolist(), column.isna())]
    return [value.isoformat() if isinstance(value, date) else value for value in values]


def pair_columns(rows: _native.Table, user: str, item: str) -> tuple[str, str]:
    """Names of the columns of users and items: as asked for, or the two that there are."""
    names = rows.column_names
    if user not in names and item not in names and len(names) == 2:
        return names[0], names[1]
    for name in (user, item):
        if name not in names:
            raise ValueError(f'a table has no column "{name}", only {", ".join(names)}; name its columns with user=… and item=…')
    return user, item


def millis(now: Any) -> int:
    """Milliseconds since 1970 of a datetime (without a zone: UTC), an ISO 8601 text, or such a number; None: now."""
    if now is None:
        return time.time_ns() // 1_000_000
    if isinstance(now, str):
        now = datetime.fromisoformat(now)
    if isinstance(now, datetime):
        at = now if now.tzinfo else now.replace(tzinfo=timezone.utc)
        since = at - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    if isinstance(now, int) and not isinstance(now, bool):
        return now
    raise TypeError(f"a time is a datetime, a text such as 2026-01-31T12:00:00Z, or ms since 1970, not {type(now).__name__}")


def threads(number: int | None) -> int:
    """As many as asked for; None or 0: one per processor that this process may use."""
    if number is not None and number < 0:
        raise ValueError(f"threads must not be negative, got {number}")
    if number:
        return number
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
