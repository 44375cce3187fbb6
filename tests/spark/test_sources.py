"""What a train reads: JSON lines, Parquet and PredictionIO's tables make one model; what is wrong is named."""

import json
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from conftest import NOW, ROOT, TRAIN, Data, digest_of, free_port

LOCAL = "local[2]"
COLUMNS = ["eventId", "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "properties", "eventTime"]


def options(data, events, models, *more):
    return ["--engine", data.engine, "--models", models, "--events", events, *more]


def rows(data):
    return [json.loads(line) for line in data.events.read_text().splitlines()]


def test_parquet_with_texts(usual, shop, tmp_path):
    table = [{name: row.get(name) for name in COLUMNS} for row in rows(shop)]
    for row in table:
        row["properties"] = json.dumps(row["properties"]) if row["properties"] else None
    (tmp_path / "events").mkdir()
    for part in range(3):
        pa.parquet.write_table(pa.Table.from_pylist(table[part::3]), tmp_path / f"events/part-{part}.parquet")
    told = usual.train(LOCAL, *options(shop, tmp_path / "events", tmp_path / "models"))
    assert told["digest"] == shop.digest


def test_parquet_as_predictionio_exports_it(usual, shop, tmp_path):
    script = tmp_path / "convert.py"
    script.write_text(
        "import sys\nfrom pyspark.sql import SparkSession, functions as f\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "rows = spark.read.json(sys.argv[1])\n"
        "rows.withColumn('eventTime', f.to_timestamp('eventTime')).write.parquet(sys.argv[2])\n"
    )
    usual.submit("--master", LOCAL, script, shop.events, tmp_path / "export")
    schema = pa.parquet.read_schema(next((tmp_path / "export").glob("*.parquet")))
    assert pa.types.is_struct(schema.field("properties").type)
    told = usual.train(LOCAL, *options(shop, tmp_path / "export", tmp_path / "models"))
    assert told["digest"] == shop.digest


def test_gzip_globs_and_several_paths(usual, shop, tmp_path):
    lines = shop.events.read_text().splitlines(keepends=True)
    half = len(lines) // 2
    (tmp_path / "b").mkdir()
    (tmp_path / "b/events.jsonl").write_text("\n" + "".join(lines[half:]))
    (tmp_path / "a.jsonl").write_text("".join(lines[:half]))
    subprocess.run(["gzip", tmp_path / "a.jsonl"], check=True)
    told = usual.train(LOCAL, *options(shop, f"{tmp_path}/a*.gz,{tmp_path}/b", tmp_path / "models"))
    assert told["digest"] == shop.digest


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """A PostgreSQL of our own; gives psql and the JDBC URL."""
    folder = tmp_path_factory.mktemp("postgres")
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        folder.chmod(0o777)
        for parent in list(folder.parents)[:2]:
            parent.chmod(0o755)
    port = free_port()
    subprocess.run([*user, binaries / "initdb", "-D", folder / "data", "-U", "pio", "-A", "trust"], check=True, capture_output=True)
    settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    subprocess.run(
        [*user, binaries / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "-o", settings, "start"], check=True, capture_output=True
    )

    def psql(text):
        subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "pio", "-q", "-v", "ON_ERROR_STOP=1", "postgres"], input=text, text=True, check=True)

    yield psql, f"jdbc:postgresql://127.0.0.1:{port}/postgres"
    subprocess.run([*user, binaries / "pg_ctl", "-D", folder / "data", "-m", "fast", "stop"], check=True, capture_output=True)


def test_predictionios_table_in_postgresql(usual, shop, postgres, tmp_path):
    psql, url = postgres
    columns = ["id", "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "properties", "eventTime"]
    text = (
        "create table pio_event_1 (id varchar(32) primary key, event text not null, entityType text not null, entityId text not null,"
        " targetEntityType text, targetEntityId text, properties text, eventTime timestamp default now(), eventTimeZone varchar(50) not null"
        " default 'UTC', tags text, prId text, creationTime timestamp default now(), creationTimeZone varchar(50) not null default 'UTC');\n"
        f"copy pio_event_1 ({', '.join(columns)}) from stdin;\n"
    )
    for number, row in enumerate(rows(shop)):
        row["id"] = f"{number:032x}"
        properties = row.get("properties")
        row["properties"] = json.dumps(properties) if properties else None
        row["eventTime"] = row["eventTime"].rstrip("Z").replace("T", " ")
        cells = ("\\N" if row.get(name) is None else str(row[name]).replace("\\", "\\\\") for name in columns)
        text += "\t".join(cells) + "\n"
    psql(text + "\\.\n")
    secret = tmp_path / "jdbc.properties"
    secret.write_text("user=pio\npassword=not-shown\ndriver=org.postgresql.Driver\n")
    driver = ROOT / "target/spark/jdbc/postgresql.jar"
    words = options(shop, url, tmp_path / "models", "--table", "pio_event_1", "--jdbc-properties", secret)
    told = usual.train(LOCAL, *words, submit=["--jars", driver], TZ="UTC")
    assert told["digest"] == shop.digest
    wrong = usual.submit("--master", LOCAL, "--jars", driver, *TRAIN, *options(shop, url, tmp_path / "m"), check=False)
    assert wrong.returncode == 1 and "[ERROR] --table is missing" in wrong.stderr, wrong.stderr[-3000:]
    assert "not-shown" not in wrong.stderr


def test_the_store_of_this_machine(usual, shop, tmp_path):
    told = usual.train(LOCAL, *options(shop, f"arblast:{shop.home}", tmp_path / "models"))
    assert told["digest"] == shop.digest


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


def refused(spark, *words, status=1):
    done = spark.submit("--master", "local[1]", *TRAIN, *words, check=False)
    assert done.returncode == status, done.stderr[-3000:]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("[ERROR]")]
    return line


def test_what_is_wrong_is_named(usual, shop, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"event":"purchase","entityType":"user"}\n')
    engine = tmp_path / "engine.json"
    engine.write_text(shop.engine.read_text().replace('"num": 8', '"num": "eight"'))
    right = options(shop, shop.events, tmp_path / "models")
    line = refused(usual, *options(shop, bad, tmp_path / "models"))
    assert "entityId" in line and '{"event":"purchase"' in line, line
    assert "num must be" in refused(usual, *right[:1], engine, *right[2:])
    assert "nothing is at" in refused(usual, *options(shop, tmp_path / "absent", tmp_path / "models"))
    assert "/absent.json does not exist" in refused(usual, "--engine", "/absent.json", *right[2:])
    assert "no option is called --modles" in refused(usual, "--modles", "x")
    assert "--count must be auto, driver, executors or parts, got here" in refused(usual, *right, "--count", "here")
    assert "--now must be a time" in refused(usual, *right, "--now", "soon")
    pa.parquet.write_table(pa.table({"event": ["a"], "user": ["b"]}), tmp_path / "x.parquet")
    assert "has no column entityType" in refused(usual, *options(shop, tmp_path / "x.parquet", tmp_path / "models"))
    skipped = usual.train(LOCAL, *options(shop, f"{shop.events},{bad}", tmp_path / "models", "--skip-bad-lines"))
    assert skipped["digest"] == shop.digest
    shrunk = tmp_path / "few.jsonl"
    shrunk.write_text("".join(shop.events.read_text().splitlines(keepends=True)[::9]))
    assert "not published" in refused(usual, *options(shop, shrunk, tmp_path / "models"))


def test_spark_conf_of_the_universal_recommender_is_understood(usual, shop, tmp_path):
    engine = json.loads(shop.engine.read_text())
    engine["sparkConf"] = {
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer", "spark.kryoserializer.buffer": "300m",
        "spark.kryo.registrator": "org.apache.mahout.sparkbindings.io.MahoutKryoRegistrator", "spark.kryo.referenceTracking": "false",
        "spark.driver.memory": "8g", "es.index.auto.create": "true", "spark.app.name": "named",
    }
    path = tmp_path / "engine.json"
    path.write_text(json.dumps(engine))
    words = ["--engine", path, "--events", shop.events, "--models", tmp_path / "models", "--now", NOW]
    done = usual.submit("--master", LOCAL, *TRAIN, *words)
    assert digest_of(done.stdout.replace('"digest":"', "digest ")) == shop.digest
    assert "spark.kryo.registrator is left out" in done.stderr and "spark.driver.memory is decided before" in done.stderr
