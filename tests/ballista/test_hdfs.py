"""Events, what goes between processes, and models on a real HDFS."""

import hashlib
import sys

import pytest

from conftest import ROOT, digest_of

# The NameNode and DataNode of the tests of Spark.
sys.path.append(str(ROOT / "tests/spark"))
from hdfs import Hdfs  # noqa: E402


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory):
    hdfs = Hdfs(tmp_path_factory.mktemp("hdfs") / "hdfs")
    yield hdfs
    hdfs.stop()


def test_everything_is_on_hdfs(hdfs, cluster, shop, tmp_path):
    hdfs.shell("-mkdir", "-p", "/shop/events")
    hdfs.shell("-put", shop.events, "/shop/events/")
    at = f"{hdfs.url}/shop"
    words = ["--scratch", f"{at}/scratch", "--count", "executors"]
    for generation in (1, 2):
        done = shop.train(cluster, f"{at}/models", *words, events=f"{at}/events")
        assert digest_of(done.stdout) == shop.digest and f"generation {generation} " in done.stdout, done.stdout
    engine = f"{at}/models/shop%40shop"
    assert hdfs.shell("-cat", f"{engine}/CURRENT") == "0000000002\n"
    hdfs.shell("-get", f"{engine}/0000000002", tmp_path / "generation")
    assert hashlib.sha256((tmp_path / "generation/model.arblast").read_bytes()).hexdigest() == shop.digest
    assert "job-" not in hdfs.shell("-ls", "-R", f"{at}/scratch"), "the folder of the job stays"
    few = tmp_path / "few.jsonl"
    few.write_text("".join(shop.events.read_text().splitlines(keepends=True)[::9]))
    refused = shop.train(cluster, f"{at}/models", *words, events=few, check=False)
    assert refused.returncode == 1 and "not published" in refused.stderr, refused.stderr
    assert hdfs.shell("-cat", f"{engine}/CURRENT") == "0000000002\n"


def test_a_name_node_that_does_not_answer_is_told(cluster, shop, tmp_path):
    done = shop.train(cluster, tmp_path / "m", "--scratch", "hdfs://127.0.0.1:1/scratch", check=False)
    assert done.returncode == 75 and "hdfs://127.0.0.1:1/scratch" in done.stderr, done.stderr
