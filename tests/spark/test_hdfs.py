"""Events and models on a real HDFS."""

import hashlib

import pytest

from conftest import NOW, TRAIN
from hdfs import Hdfs


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory):
    hdfs = Hdfs(tmp_path_factory.mktemp("hdfs") / "hdfs")
    yield hdfs
    hdfs.stop()


def test_generations_are_published_on_hdfs(hdfs, usual, shop, tmp_path):
    hdfs.shell("-mkdir", "-p", "/shop/events")
    hdfs.shell("-put", shop.events, "/shop/events/")
    hdfs.shell("-put", shop.engine, "/shop/engine.json")
    at = f"{hdfs.url}/shop"
    words = ["--engine", f"{at}/engine.json", "--events", f"{at}/events", "--models", f"{at}/models"]
    first = usual.train("local[2]", *words, "--result", f"{at}/result.json")
    assert (first["digest"], first["generation"]) == (shop.digest, 1)
    engine = f"{at}/models/shop%40shop"
    assert first["directory"] == engine
    assert '"generation":1' in hdfs.shell("-cat", f"{at}/result.json")
    second = usual.train("local[2]", *words)
    assert second["generation"] == 2
    assert hdfs.shell("-cat", f"{engine}/CURRENT") == "0000000002\n"
    hdfs.shell("-get", f"{engine}/0000000002", tmp_path / "generation")
    assert hashlib.sha256((tmp_path / "generation/model.arblast").read_bytes()).hexdigest() == shop.digest
    names = [line.split("/")[-1] for line in hdfs.shell("-ls", engine).splitlines() if "/" in line]
    assert sorted(names) == ["0000000001", "0000000002", "CURRENT"], "nothing is left behind"
    few = tmp_path / "few.jsonl"
    few.write_text("".join(shop.events.read_text().splitlines(keepends=True)[::9]))
    words = ["--engine", shop.engine, "--events", f"file:{few}", "--models", f"{at}/models", "--now", NOW]
    refused = usual.submit("--master", "local[2]", *TRAIN, *words, check=False)
    assert refused.returncode == 1 and "not published" in refused.stderr, refused.stderr[-2000:]
    assert hdfs.shell("-cat", f"{engine}/CURRENT") == "0000000002\n"


def test_a_name_node_that_does_not_answer_is_told(hdfs, usual, shop):
    words = ["--engine", shop.engine, "--events", shop.events, "--models", "hdfs://127.0.0.1:1/models", "--now", NOW]
    patience = ["--conf", "spark.hadoop.ipc.client.connect.max.retries=1"]
    done = usual.submit("--master", "local[2]", *patience, *TRAIN, *words, check=False)
    assert done.returncode == 75 and "[ERROR] --models hdfs://127.0.0.1:1/models cannot be reached" in done.stderr
    assert "stage 0.0" not in done.stderr, "it is told before the train, not after"
