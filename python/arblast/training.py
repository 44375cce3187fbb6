"""From events or frames to a model."""

import json
import warnings
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from . import _inputs, _native
from .model import Model

Engine = str | PathLike[str] | Mapping[str, Any]


def train(
    events: Any,
    engine: Engine | None = None,
    *,
    indicators: list[str] | None = None,
    min_llr: float | None = None,
    k: int | None = None,
    items: Any = None,
    now: Any = None,
    threads: int | None = None,
    remember: bool = True,
    user: str = "user",
    item: str = "item",
    time: str = "time",
) -> Model:
    """Makes a model, the same bytes as `arblast train` of the same events at the same time.

    events
        A path, or several: files of event JSON lines, plain or .gz, or folders of them. Or a table (pyarrow, polars, pandas, a dict
        of lists) with columns named as the members of events: `event`, `entityType`, `entityId` are needed, `targetEntityType`,
        `targetEntityId`, `properties` (JSON text or a structure), `eventId`, `eventTime`, `creationTime` count. Or a dict of an event
        name to a table with columns `user` and `item`, and maybe `time`; without it a row counts as of just before `now`. Rows
        without user or item do not count. All events are taken to be different, even if they share an id.
    engine
        engine.json: a path, the folder it is in, or its content as a dict. None: defaults, with the keys of a dict of tables as
        indicators, or `indicators`; the first is primary, what is recommended.
    min_llr, k
        Without an engine: weaker correlators are left out [none; 5 is a good start, and needed where things are few], and at most so many
        are kept per item and indicator [50].
    items
        A table with a column `item` (or `id`); all other columns become properties of items.
    now
        The time of training, where windows and rankings end: datetime, ISO 8601 text or ms since 1970. Default: now.
    threads
        Default: one per processor. The model is the same for any number.
    remember
        Keep what users did, 24 bytes a deed, so that `model.recommend(user)` knows them.
    user, item, time
        Names of the columns in a dict of tables.

    Raises ValueError (a row or line is no event, the engine file is wrong, there is nothing to train on), FileNotFoundError, TypeError.
    Ctrl-C ends it.
    """
    sources, names = _sources(events, user, item, time)
    if items is not None:
        sources.append(_items(items, item))
    text = _engine_text(engine, indicators or names, {"minLLR": min_llr, "maxCorrelatorsPerItem": k})
    served = _native.train(text, sources, _inputs.millis(now), _inputs.threads(threads), remember)
    model = Model(served)
    for warning in model.report["warnings"]:
        warnings.warn(warning, stacklevel=2)
    return model


def _sources(events: Any, user: str, item: str, time: str) -> tuple[list[Any], list[str] | None]:
    """What the native half reads, and the event names that are known from the form of it."""
    if isinstance(events, (str, PathLike)):
        return _files(events), None
    if isinstance(events, Mapping) and events and all(_inputs.is_frame(frame) for frame in events.values()):
        return [_pairs(str(name), frame, user, item, time) for name, frame in events.items()], [str(name) for name in events]
    if _inputs.is_frame(events):
        return [_inputs.table(events)], None
    if isinstance(events, Iterable):
        paths = list(events)
        if paths and all(isinstance(path, (str, PathLike)) for path in paths):
            return [file for path in paths for file in _files(path)], None
    raise TypeError(f"events are a path, a table, or a dict of tables by event name, not {type(events).__name__}")


def _files(path: str | PathLike[str]) -> list[Path]:
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith((".", "_")))
    if not files:
        raise FileNotFoundError(f"no files in {path}")
    return files


def _pairs(name: str, frame: Any, user: str, item: str, time: str) -> tuple[str, _native.Table, str, str, str | None]:
    rows = _inputs.table(frame, [user, item, time])
    users, things = _inputs.pair_columns(rows, user, item)
    return name, rows, users, things, time if time in rows.column_names else None


def _items(frame: Any, item: str) -> tuple[_native.Table, str]:
    rows = _inputs.table(frame)
    name = next((name for name in (item, "id") if name in rows.column_names), None)
    if name is None:
        raise ValueError(f'the items have no column "{item}" and no "id", only {", ".join(rows.column_names)}')
    return rows, name


def _engine_text(engine: Engine | None, indicators: list[str] | None, thresholds: dict[str, Any]) -> bytes:
    given = {name: value for name, value in thresholds.items() if value is not None}
    if engine is not None:
        if given:
            raise ValueError(f"min_llr and k are for a train without an engine file: write {', '.join(given)} into it")
        return engine_text(engine)
    if not indicators:
        raise ValueError('which events count? Give engine="engine.json", or indicators=["purchase", "view"], the primary first')
    whole = json.loads(_native.default_engine(list(indicators)))
    params = whole["algorithms"][0]["params"]
    params["indicators"] = [{"name": name, **given} for name in params.pop("eventNames")]
    return json.dumps(whole).encode()


def engine_text(engine: Engine) -> bytes:
    """engine.json as bytes."""
    if isinstance(engine, Mapping):
        return json.dumps(engine).encode()
    path = Path(engine)
    return (path / "engine.json" if path.is_dir() else path).read_bytes()
