"""Events and models on a real HDFS."""

import hashlib
import shutil

import pytest

from hdfs import Hdfs


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory):
    hdfs = Hdfs(tmp_path_factory.mktemp("hdfs") / "hdfs")
    yield hdfs
    hdfs.stop()


def test_generations_are_published_on_hdfs(hdfs, usual, shop, search, tmp_path):
    (tmp_path / "shop").mkdir()
    for file in (shop.engine, shop.events):
        shutil.copy(file, tmp_path / "shop")
    hdfs.shell("-put", tmp_path / "shop", "/")
    few = tmp_path / "few.jsonl"
    few.write_text("".join(shop.events.read_text().splitlines(keepends=True)[::9]))
    at = f"{hdfs.url}/shop"
    words = ["--engine", f"{at}/engine.json", "--events", f"{at}/events.jsonl", "--models", f"{at}/models"]
    small = ["--engine", shop.engine, "--events", f"file:{few}", "--models", f"{at}/models"]
    nowhere = ["--engine", shop.engine, "--events", shop.events, "--models", "hdfs://127.0.0.1:1/models"]
    patience = ["--conf", "spark.hadoop.ipc.client.connect.max.retries=1"]
    jobs = [[*words, "--result", f"{at}/result.json"], [*words, "--index", search.url], small, nowhere]
    indexes = search.indexes()
    first, second, small, nowhere = usual.jobs("local[2]", tmp_path, *jobs, submit=patience)
    assert first.digest() == second.digest() == shop.digest
    assert (first.told["generation"], second.told["generation"]) == (1, 2)
    engine = f"{at}/models/shop%40shop"
    assert first.told["directory"] == engine
    assert (first.told["index"], second.told["index"]) == (None, "arblast-shop.shop")
    assert len(set(search.indexes()) - set(indexes)) == 1
    assert "not published" in small.error()
    assert "[ERROR] --models hdfs://127.0.0.1:1/models cannot be reached" in nowhere.error(75)
    assert "stage 0.0" not in nowhere.log, "it is told before the train, not after"
    result, pointer = hdfs.shell("-cat", f"{at}/result.json", f"{engine}/CURRENT").rsplit("}", 1)
    assert '"generation":1' in result and pointer.strip() == "0000000002"
    hdfs.shell("-get", engine, tmp_path / "engine")
    assert hashlib.sha256((tmp_path / "engine/0000000002/model.arblast").read_bytes()).hexdigest() == shop.digest
    names = sorted(path.name for path in (tmp_path / "engine").iterdir())
    assert names == ["0000000001", "0000000002", "CURRENT"], "nothing is left behind"
