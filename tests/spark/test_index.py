"""Models that search servers answer by: a train on Spark publishes them as one here does."""

import http.server
import json
import shutil
import threading

import pytest

from conftest import NOW, ON_ONE_CLUSTER, TRAIN, Data, digest_of
from test_cluster import current, in_cluster_mode, on_cluster, source

LOCAL = ["--master", "local[2]"]
QUERIES = [
    {"user": "maya", "num": 6}, {"item": "Ravenholt Climbing Shoes Velcro", "num": 5}, {"num": 4},
    {"user": "maya", "rules": [{"name": "categories", "values": ["climbing"], "bias": -1}], "num": 5},
]


@pytest.fixture
def home(shop, tmp_path):
    """A copy of the shop, with its store and model."""
    data = Data(tmp_path)
    for name in ("engine.json", "events.jsonl"):
        shutil.copy(shop.folder / name, tmp_path)
    shutil.copytree(shop.home, data.home)
    data.digest = shop.digest
    return data


def answers(data, url):
    return [data.arblast("query", json.dumps(query), "--json", ARBLAST_INDEX_URL=url).stdout for query in QUERIES]


def new(after, before):
    """Of each index that came since: is it current?"""
    return [is_current for name, is_current in after.items() if name not in before]


@ON_ONE_CLUSTER
def test_what_a_job_publishes_answers_as_the_file_does(search, cluster, home, tmp_path):
    expected = answers(home, "embedded")
    assert "itemScores" in expected[0]
    # As in a real life, with a password; this server does not look.
    secret = search.url.replace("//", "//user:hunter2@")
    models, indexes = home.home / "models", search.indexes()
    told = in_cluster_mode(cluster, home, tmp_path, models=models, ARBLAST_INDEX_URL=secret, ARBLAST_INDEX_SHARDS="2")
    assert (told["digest"], told["index"]) == (home.digest, "arblast-shop.shop")
    assert answers(home, search.url) == expected
    published = search.indexes()
    assert new(published, indexes) == [True], published

    # What cannot be published changes nothing: neither here nor there.
    before = current(home)
    search.ask("PUT", "/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": 1}})
    words = source(home, models, "--index", secret)
    full = cluster.spark.submit(*LOCAL, *TRAIN, "--now", NOW, *words, check=False)
    search.ask("PUT", "/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": None}})
    assert full.returncode == 75 and "[ERROR] " in full.stderr and "as many shards as it may" in full.stderr, full.stderr[-3000:]
    assert "hunter2" not in full.stdout + full.stderr
    assert current(home) == before and search.indexes() == published
    assert answers(home, search.url) == expected


@ON_ONE_CLUSTER
def test_arblast_train_on_a_cluster_publishes_once(search, cluster, home):
    before = search.indexes()
    done = on_cluster(cluster, home, ARBLAST_INDEX_URL=search.url)
    assert digest_of(done.stdout) == home.digest
    assert new(search.indexes(), before) == [True]
    assert answers(home, search.url) == answers(home, "embedded")


class Refusing(http.server.BaseHTTPRequestHandler):
    """Servers for who does not know the password."""

    def do_GET(self):
        self.send_response(401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_what_is_wrong_is_told_before_the_train(usual, shop, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        wrong = [
            (f"http://user:hunter2@127.0.0.1:{refusing.server_port}", 1, "user and password, or the API key, are missing or wrong"),
            ("http://user:hunter2@127.0.0.1:1", 75, "nothing listens there"),
            ("postgresql://user:hunter2@127.0.0.1", 1, "http"),
        ]
        jobs = [source(shop, tmp_path / "models", "--index", index) for index, _, _ in wrong]
        for job, (_, status, expected) in zip(usual.jobs("local[2]", tmp_path, *jobs), wrong):
            assert expected in job.error(status)
            assert "hunter2" not in job.log and "SparkContext" not in job.log, job.log
        refusing.shutdown()
    assert not (tmp_path / "models").exists()
