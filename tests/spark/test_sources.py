"""What a train reads: JSON lines, Parquet and PredictionIO's tables make one model; what is wrong is named."""

import datetime
import json
import subprocess

import pyarrow as pa
import pyarrow.parquet

from conftest import Data

LOCAL = "local[2]"
COLUMNS = ["eventId", "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "properties", "eventTime"]


def options(data, events, models, *more):
    return ["--engine", data.engine, "--models", models, "--events", events, *more]


def rows(data):
    return [json.loads(line) for line in data.events.read_text().splitlines()]


def parquet_with_texts(data, folder):
    """In three files, properties as text."""
    table = [{name: row.get(name) for name in COLUMNS} for row in rows(data)]
    for row in table:
        row["properties"] = json.dumps(row["properties"]) if row["properties"] else None
    folder.mkdir()
    for part in range(3):
        pa.parquet.write_table(pa.Table.from_pylist(table[part::3]), folder / f"part-{part}.parquet")
    return folder


def parquet_as_predictionio_exports_it(data, folder):
    """Properties as a struct of all that occur, times as Spark writes them."""
    table = [{name: row.get(name) for name in COLUMNS} for row in rows(data)]
    for row in table:
        row["eventTime"] = datetime.datetime.fromisoformat(row["eventTime"])
    table = pa.Table.from_pylist(table)
    assert pa.types.is_struct(table.schema.field("properties").type)
    folder.mkdir()
    pa.parquet.write_table(table, folder / "part.parquet", use_deprecated_int96_timestamps=True)
    return folder


def gzip_globs_and_several_paths(data, folder):
    lines = data.events.read_text().splitlines(keepends=True)
    half = len(lines) // 2
    (folder / "b").mkdir(parents=True)
    (folder / "b/events.jsonl").write_text("\n" + "".join(lines[half:]))
    (folder / "a.jsonl").write_text("".join(lines[:half]))
    subprocess.run(["gzip", folder / "a.jsonl"], check=True)
    return f"{folder}/a*.gz,{folder}/b"


def predictionios_table(data, database):
    """As PredictionIO makes it."""
    columns = ["id", "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "properties", "eventTime"]
    text = (
        "create table old_event_1 (id varchar(32) primary key, event text not null, entityType text not null, entityId text not null,"
        " targetEntityType text, targetEntityId text, properties text, eventTime timestamp default now(), eventTimeZone varchar(50) not null"
        " default 'UTC', tags text, prId text, creationTime timestamp default now(), creationTimeZone varchar(50) not null default 'UTC');\n"
        f"copy old_event_1 ({', '.join(columns)}) from stdin;\n"
    )
    for number, row in enumerate(rows(data)):
        row["id"] = f"{number:032x}"
        properties = row.get("properties")
        row["properties"] = json.dumps(properties) if properties else None
        row["eventTime"] = row["eventTime"].rstrip("Z").replace("T", " ")
        cells = ("\\N" if row.get(name) is None else str(row[name]).replace("\\", "\\\\") for name in columns)
        text += "\t".join(cells) + "\n"
    database.psql(text + "\\.\n")
    return database.jdbc


def with_spark_conf(data, path):
    """What the Universal Recommender wants, and more."""
    engine = json.loads(data.engine.read_text())
    engine["sparkConf"] = {
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer", "spark.kryoserializer.buffer": "300m",
        "spark.kryo.registrator": "org.apache.mahout.sparkbindings.io.MahoutKryoRegistrator", "spark.kryo.referenceTracking": "false",
        "spark.driver.memory": "8g", "es.index.auto.create": "true", "spark.app.name": "named",
    }
    path.write_text(json.dumps(engine))
    return path


def test_all_sources_make_the_same_model(usual, shop, database, tmp_path):
    models = tmp_path / "models"
    table = predictionios_table(shop, database)
    sources = [
        [parquet_with_texts(shop, tmp_path / "texts")],
        [parquet_as_predictionio_exports_it(shop, tmp_path / "export")],
        [gzip_globs_and_several_paths(shop, tmp_path / "lines")],
        [table, "--table", "old_event_1", *database.login(tmp_path)],
        [f"arblast:{shop.home}"],
    ]
    jobs = [options(shop, events, models, *more) for events, *more in sources]
    jobs.append(["--engine", with_spark_conf(shop, tmp_path / "engine.json"), "--models", models, "--events", shop.events])
    jobs.append(options(shop, table, models))
    *done, configured, wrong = usual.jobs(LOCAL, tmp_path, *jobs, jars=[database.driver], TZ="UTC")
    assert [job.digest() for job in done] == [shop.digest] * len(sources)
    assert configured.digest() == shop.digest
    assert "spark.kryo.registrator is left out" in configured.log and "spark.driver.memory is decided before" in configured.log
    assert "--table is missing" in wrong.error()
    assert not any(database.password in job.log for job in [*done, wrong])


def test_equal_events_count_once_wherever_they_are(usual, shop, tmp_path):
    data = Data(tmp_path)
    engine = json.loads(shop.engine.read_text())
    engine["datasource"]["params"]["eventWindow"] = {"removeDuplicates": True, "duration": "3650 days"}
    data.engine.write_text(json.dumps(engine))
    lines = [json.loads(line) for line in shop.events.read_text().splitlines()]
    twins = [{**line, "eventId": line.get("eventId", f"line{number}") + "-twin"} for number, line in enumerate(lines[::3])]
    with data.events.open("w") as out:
        for line in [*lines, *twins]:
            out.write(json.dumps({"eventId": f"{len(json.dumps(line))}-{id(line)}", **line}) + "\n")
    data.trained("shop")
    told = usual.train("local[2]", *options(data, data.events, tmp_path / "models"), submit=["--conf", "spark.sql.files.maxPartitionBytes=2m"])
    assert told["digest"] == data.digest
    assert told["report"]["events"] == len(lines) + len(twins)


def test_what_is_wrong_is_named(usual, shop, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"event":"purchase","entityType":"user"}\n')
    engine = tmp_path / "engine.json"
    engine.write_text(shop.engine.read_text().replace('"num": 8', '"num": "eight"'))
    pa.parquet.write_table(pa.table({"event": ["a"], "user": ["b"]}), tmp_path / "x.parquet")
    shrunk = tmp_path / "few.jsonl"
    shrunk.write_text("".join(shop.events.read_text().splitlines(keepends=True)[::9]))
    models = tmp_path / "models"
    right = options(shop, shop.events, models)
    wrong = [
        (options(shop, bad, models), ["entityId", '{"event":"purchase"']),
        ([*right[:1], engine, *right[2:]], ["num must be"]),
        (options(shop, tmp_path / "absent", models), ["nothing is at"]),
        (["--engine", "/absent.json", *right[2:]], ["/absent.json does not exist"]),
        (["--modles", "x"], ["no option is called --modles"]),
        ([*right, "--count", "here"], ["--count must be auto, driver, executors or parts, got here"]),
        (["--now", "soon", *right], ["--now must be a time"]),
        (options(shop, tmp_path / "x.parquet", models), ["has no column entityType"]),
    ]
    right = options(shop, f"{shop.events},{bad}", models, "--skip-bad-lines")
    *done, skipped, small = usual.jobs("local[1]", tmp_path, *(words for words, _ in wrong), right, options(shop, shrunk, models))
    for job, (words, expected) in zip(done, wrong):
        line = job.error()
        assert all(text in line for text in expected), (words, line)
    assert skipped.digest() == shop.digest
    assert "not published" in small.error()
