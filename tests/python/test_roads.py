"""The same events give the same bytes as `arblast train`, in whatever form they come."""

import gzip
import json

import arblast
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from conftest import NOW


def saved(model, folder):
    model.save(folder / "saved.arblast")
    return (folder / "saved.arblast").read_bytes()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_file(shop, tmp_path, threads):
    model = arblast.train(shop.folder / "events.jsonl", engine=shop.folder, now=NOW, threads=threads)
    assert saved(model, tmp_path) == shop.model
    assert model.digest == json.loads(next(shop.home.glob("models/*/*/info.json")).read_text())["digest"]


def test_pieces_compressed_and_in_a_folder(shop, tmp_path):
    lines = (shop.folder / "events.jsonl").read_text().splitlines(keepends=True)
    folder = tmp_path / "events"
    folder.mkdir()
    third = len(lines) // 3
    for number in range(3):
        end = None if number == 2 else (number + 1) * third
        text = "".join(lines[number * third:end])
        path = folder / f"part-{number}.json"
        path.write_text(text) if number == 1 else path.with_suffix(".json.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "_SUCCESS").write_text("not read")
    engine = json.loads((shop.folder / "engine.json").read_text())
    assert saved(arblast.train(folder, engine=engine, now=NOW), tmp_path) == shop.model
    files = sorted(path for path in folder.iterdir() if path.name != "_SUCCESS")
    assert saved(arblast.train(files, engine=engine, now=NOW), tmp_path) == shop.model
    assert saved(arblast.train(files[:1], engine=engine, now=NOW), tmp_path) != shop.model


def columns_of(events):
    names = ["event", "entityType", "entityId", "targetEntityType", "targetEntityId", "eventTime", "eventId"]
    columns = {name: [event.get(name) for event in events] for name in names}
    columns["properties"] = [json.dumps(event["properties"]) if event.get("properties") else None for event in events]
    return columns


def timestamps(columns, unit):
    return pa.array([pd.Timestamp(text) for text in columns["eventTime"]]).cast(pa.timestamp(unit, "UTC"))


FORMS = {
    "lists": lambda columns: columns,
    "pyarrow": pa.table,
    "large texts": lambda columns: pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()}),
    "views": lambda columns: pa.table({name: pa.array(values, pa.string_view()) for name, values in columns.items()}),
    "dictionaries": lambda columns: pa.table({name: pa.array(values, pa.string()).dictionary_encode() for name, values in columns.items()}),
    "chunks": lambda columns: pa.concat_tables([pa.table(columns).slice(0, 100), pa.table(columns).slice(100)]),
    "reader": lambda columns: pa.RecordBatchReader.from_batches(pa.table(columns).schema, pa.table(columns).to_batches(max_chunksize=77)),
    "batch": lambda columns: pa.table(columns).combine_chunks().to_batches()[0],
    "ms": lambda columns: pa.table({**columns, "eventTime": timestamps(columns, "ms")}),
    "ns": lambda columns: pa.table({**columns, "eventTime": timestamps(columns, "ns")}),
    "pandas": lambda columns: pd.DataFrame({**columns, "eventTime": pd.to_datetime(columns["eventTime"])}),
    "pandas objects": lambda columns: pd.DataFrame(columns, dtype=object),
    "polars": lambda columns: pl.DataFrame(columns).with_columns(pl.col("eventTime").str.to_datetime(time_zone="UTC", time_unit="us")),
    "polars categories": lambda columns: pl.DataFrame(columns).with_columns(pl.col("event", "entityType", "targetEntityId").cast(pl.Categorical)),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_events(shop, tmp_path, form):
    model = arblast.train(FORMS[form](columns_of(shop.events)), engine=shop.folder, now=NOW)
    assert saved(model, tmp_path) == shop.model


def test_properties_as_structures(new_engine, tmp_path):
    items = [{"title": "Tent ü", "price": 99.5, "stock": 3, "tags": ["a", "b"], "new": True}, {"title": "Mat", "tags": []}]
    events = [{"event": "buy", "entityType": "user", "entityId": f"u{u}", "targetEntityType": "item", "targetEntityId": f"i{i}",
               "eventTime": f"2026-10-0{u + 1}T00:00:00.000Z"} for u in range(6) for i in range(2) if (u + i) % 3]
    events += [{"event": "$set", "entityType": "item", "entityId": f"i{n}", "properties": item, "eventTime": "2026-10-01T00:00:00.000Z"}
               for n, item in enumerate(items)]
    engine = new_engine("structures", "buy")
    (engine.folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    expected = engine.train("structures", "events.jsonl")
    plain = {name: [event.get(name) for event in events] for name in
             ["event", "entityType", "entityId", "targetEntityType", "targetEntityId", "eventTime"]}
    properties = [event.get("properties") for event in events]
    for frame in (pa.table({**plain, "properties": properties}), pl.DataFrame({**plain, "properties": properties}, strict=False)):
        assert saved(arblast.train(frame, engine=engine.folder, now=NOW), tmp_path) == expected, type(frame)


@pytest.mark.parametrize("library", [dict, pa.table, pl.DataFrame, pd.DataFrame])
def test_frames_by_indicator_are_events_just_before_the_train(new_engine, pairs, tmp_path, library):
    engine = new_engine("frames", "purchase", "view")
    events = [
        {"event": name, "entityType": "user", "entityId": user, "targetEntityType": "item", "targetEntityId": item,
         "eventTime": "2026-10-31T23:59:59.999Z"}
        for name, columns in pairs.items() for user, item in zip(columns["user"], columns["item"])
    ]
    (engine.folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    expected = engine.train("frames", "events.jsonl")
    frames = {name: library(columns) for name, columns in pairs.items()}
    assert saved(arblast.train(frames, engine=engine.folder, now=NOW), tmp_path) == expected
    defaults = arblast.train(frames, now=NOW)
    assert saved(defaults, tmp_path) == expected, "the default engine has the defaults of an engine file"
    assert defaults.indicators == ["purchase", "view"]
    strict = arblast.train(frames, now=NOW, min_llr=4, k=3)
    columns = strict.correlators().to_pydict()
    assert min(columns["llr"]) >= 4 and max(columns["place"]) == 3
    text = json.loads((engine.folder / "engine.json").read_text())
    params = text["algorithms"][0]["params"]
    params["indicators"] = [{"name": name, "minLLR": 4, "maxCorrelatorsPerItem": 3} for name in params.pop("eventNames")]
    assert saved(arblast.train(frames, engine=text, now=NOW), tmp_path) == saved(strict, tmp_path)
    with pytest.raises(ValueError, match="write minLLR into it"):
        arblast.train(frames, engine=text, min_llr=4)


def test_times_and_other_names_of_columns(new_engine, tmp_path):
    bought = [("a", "x", "2026-10-05"), ("a", "y", "2026-10-06"), ("b", "x", "2025-10-05"), ("b", "y", "2026-10-06"), ("c", "z", "2026-10-07")]
    engine = new_engine("times", "buy", rankings=[{"type": "popular", "duration": "30 days"}])
    events = [{"event": "buy", "entityType": "user", "entityId": user, "targetEntityType": "item", "targetEntityId": item,
               "eventTime": f"{day}T00:00:00.000Z"} for user, item, day in bought]
    (engine.folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    expected = engine.train("times", "events.jsonl")
    frame = pd.DataFrame(bought, columns=["customer", "article", "day"])
    for days in (frame["day"], pd.to_datetime(frame["day"]), pd.to_datetime(frame["day"]).dt.date):
        model = arblast.train({"buy": frame.assign(day=days)}, engine=engine.folder, now=NOW, user="customer", item="article", time="day")
        assert saved(model, tmp_path) == expected


def test_equal_events_once(new_engine, tmp_path):
    params = {"eventWindow": {"duration": "300 days", "removeDuplicates": True}}
    engine = new_engine("window", "buy")
    text = json.loads((engine.folder / "engine.json").read_text())
    text["datasource"]["params"].update(params)
    (engine.folder / "engine.json").write_text(json.dumps(text))
    events = [{"event": "buy", "entityType": "user", "entityId": f"u{n % 7}", "targetEntityType": "item", "targetEntityId": f"i{n % 7 // 2 + n % 2}",
               "eventTime": f"2026-0{1 + n % 9}-01T00:00:00.000Z"} for n in range(200)]
    (engine.folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    expected = engine.train("window", "events.jsonl")
    assert saved(arblast.train(engine.folder / "events.jsonl", engine=engine.folder, now=NOW), tmp_path) == expected


def test_the_published_model_answers_as_the_program(shop):
    published = arblast.Model.open(shop.folder, home=shop.home)
    trained = arblast.train(shop.folder / "events.jsonl", engine=shop.folder, now=NOW)
    queries = [json.loads(line) for line in (shop.folder / "queries.jsonl").read_text().splitlines()]
    queries += [{"user": "maya", "num": 5}, {"user": "nobody"}, {"user": "maya", "explain": True, "num": 3}]
    assert len(queries) > 5
    for query in queries:
        query = {**query, "currentDate": NOW}
        expected = json.loads(shop.arblast("query", json.dumps(query)))
        assert published.query(query) == expected
        assert trained.query(query) == expected
    folder = next(shop.home.glob("models/*"))
    assert arblast.Model.open(folder).digest == published.digest == trained.digest
