"""A train on a real cluster makes the very model of `arblast train`."""

import gzip
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from conftest import NOW, Cluster, Data, digest_of

PLACES = ["driver", "executors", "parts"]


@pytest.mark.parametrize("place", PLACES)
def test_the_same_model_wherever_it_is_counted(cluster, shop, tmp_path, place):
    done = shop.train(cluster, tmp_path / "models", "--count", place)
    assert digest_of(done.stdout) == shop.digest
    assert "Published generation 1" in done.stdout and "400 items" in done.stdout
    assert ("ranges of items" in done.stdout) == (place != "driver")
    assert not list((shop.home / "scratch").glob("*")), "the folder of the job stays"


def test_the_handmade_case(cluster, handmade, tmp_path):
    done = handmade.train(cluster, tmp_path / "models", "--count", "executors")
    assert digest_of(done.stdout) == handmade.digest


@pytest.mark.parametrize("place", PLACES)
def test_a_million_interactions(cluster, million, tmp_path, place):
    done = million.train(cluster, tmp_path / "models", "--count", place)
    assert digest_of(done.stdout) == million.digest


def test_the_store_of_the_home_and_its_records(cluster, shop):
    before = json.loads(shop.arblast("--json", "models").stdout)
    done = shop.arblast("flight", "train", "--scheduler", cluster.address, "--now", NOW, "--count", "executors", "--batch", "nightly")
    assert digest_of(done.stdout) == shop.digest
    after = json.loads(shop.arblast("--json", "models").stdout)
    assert len(str(after)) > len(str(before)), "the home has the model"
    assert "engine instance ID" in done.stdout


def test_files_into_the_home(cluster, shop):
    done = shop.arblast("flight", "train", "--scheduler", cluster.address, "--now", NOW, "--events", shop.events)
    assert digest_of(done.stdout) == shop.digest


def test_gzip_folders_and_patterns(cluster, shop, tmp_path):
    lines = shop.events.read_bytes().splitlines(keepends=True)
    third = len(lines) // 3
    (tmp_path / "b/deep").mkdir(parents=True)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[:third])))
    (tmp_path / "b/part-0").write_bytes(b"\n" + b"".join(lines[third : 2 * third]))
    (tmp_path / "b/_SUCCESS").write_bytes(b"no event")
    (tmp_path / "b/deep/part-1").write_bytes(b"".join(lines[2 * third :]))
    events = f"{tmp_path}/a*.gz,file://{tmp_path}/b"
    assert digest_of(shop.train(cluster, tmp_path / "models", events=events).stdout) == shop.digest


def test_very_many_small_files(cluster, shop, tmp_path):
    lines = shop.events.read_bytes().splitlines(keepends=True)
    (tmp_path / "events").mkdir()
    for number in range(4200):
        (tmp_path / f"events/part-{number:05}").write_bytes(b"".join(lines[number::4200]))
    done = shop.train(cluster, tmp_path / "models", events=tmp_path / "events")
    assert digest_of(done.stdout) == shop.digest


def test_parquet(cluster, shop, tmp_path):
    rows = [json.loads(line) for line in shop.events.read_text().splitlines()]
    for row in rows:
        row["properties"] = json.dumps(row["properties"]) if row.get("properties") else None
    (tmp_path / "events").mkdir()
    for part in range(2):
        table = pa.Table.from_pylist(rows[part::2], schema=pa.schema([(name, pa.string()) for name in sorted({n for row in rows for n in row})]))
        pa.parquet.write_table(table, tmp_path / f"events/part-{part}.parquet", row_group_size=1000)
    done = shop.train(cluster, tmp_path / "models", events=tmp_path / "events")
    assert digest_of(done.stdout) == shop.digest


def test_duplicates_meet(cluster, shop, tmp_path):
    engine = json.loads(shop.engine.read_text())
    window = {"duration": "3650 days", "removeDuplicates": True}
    engine["datasource"]["params"]["eventWindow"] = window
    (tmp_path / "engine.json").write_text(json.dumps(engine))
    expected = shop.arblast("train", "--variant", tmp_path / "engine.json", "--now", NOW).stdout
    words = [tmp_path / "engine.json" if word == shop.engine else word for word in shop.words(cluster, tmp_path / "models")]
    done = shop.arblast(*words)
    assert digest_of(done.stdout) == digest_of(expected)


def test_interactions_that_do_not_fit_are_told(tmp_path, million):
    small = Cluster(tmp_path / "small", executors=1, memory="16m")
    try:
        failed = million.arblast("flight", "train", "--scheduler", small.address, "--now", NOW, "--count", "executors", check=False)
        assert failed.returncode == 75 and "do not fit this executor" in failed.stderr, failed.stdout + failed.stderr
        failed = million.train(small, tmp_path / "m", check=False)
        assert failed.returncode == 75 and "too little memory for a task" in failed.stderr, failed.stdout + failed.stderr
    finally:
        small.stop()


def test_what_fits_no_executor_is_counted_by_parts(tmp_path):
    """Much to count of few pairs: 2300 users with 1500 of 2000 items each."""
    users, each, items = 2300, 1500, 2000
    random = np.random.default_rng(7)
    who = pa.array([f"u{n}" for n in range(users)]).take(pa.array(np.repeat(np.arange(users), each)))
    what = pa.array([f"i{n}" for n in range(items)]).take(pa.array(np.concatenate([random.permutation(items)[:each] for _ in range(users)])))
    constant = {"event": "buy", "entityType": "user", "targetEntityType": "item", "eventTime": "2026-11-01T00:00:00Z"}
    columns = {name: pa.array([text]).take(pa.array(np.zeros(users * each, np.int32))) for name, text in constant.items()}
    pa.parquet.write_table(pa.table({**columns, "entityId": who, "targetEntityId": what}), tmp_path / "events.parquet", row_group_size=200_000, use_dictionary=list(constant), compression="none")
    data = Data(tmp_path)
    params = {"appName": "a", "indexName": "a", "indicators": [{"name": "buy", "maxItemsPerUser": 3000}]}
    engine = {"id": "a", "engineFactory": "com.actionml.RecommendationEngine", "datasource": {"params": {"appName": "a"}}, "algorithms": [{"name": "ur", "params": params}]}
    data.engine.write_text(json.dumps(engine))
    small = Cluster(tmp_path / "cluster", executors=1, memory="100m", vcores=3)
    try:
        train = lambda *words: data.train(small, tmp_path / "models", "--threads", "1", *words, events=tmp_path / "events.parquet")
        expected, done = train("--count", "driver"), train()
        assert "do not fit this executor" in done.stdout and re.search(r"executors count \d+ pairs in \d+ parts", done.stdout), done.stdout
        assert digest_of(done.stdout) == digest_of(expected.stdout)
    finally:
        small.stop()


def test_the_work_folder_of_an_executor_is_its_own(shop, tmp_path):
    cluster = Cluster(tmp_path / "cluster", executors=0)
    try:
        precious = cluster.folder / "executor0" / "precious" / "file"
        precious.parent.mkdir(parents=True)
        precious.write_text("kept")
        executor = cluster.add()
        shop.train(cluster, tmp_path / "m", "--count", "executors")
        executor.stop()
        assert precious.read_text() == "kept"
        assert [entry.name for entry in precious.parents[1].iterdir()] == ["precious"], "temporary files stay"
    finally:
        cluster.stop()
