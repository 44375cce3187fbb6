"""Events in databases and in HBase, for `arblast train -- --master …` and for a job that reads them itself."""

import os
import subprocess

import pytest

from conftest import JAVA_HOME, ON_ONE_CLUSTER, ROOT, Data, digest_of
from test_cluster import on_cluster


def elsewhere(shop, folder, **environment):
    """The shop, with its events in another store."""
    data = Data(folder, **environment)
    (folder / "engine.json").write_bytes(shop.engine.read_bytes())
    data.arblast("app", "new", "shop")
    data.arblast("import", "--app", "shop", "--input", shop.events)
    return data


@ON_ONE_CLUSTER
def test_events_in_postgresql(cluster, shop, database, tmp_path):
    data = elsewhere(shop, tmp_path, ARBLAST_EVENTS_URL=database.url)
    assert digest_of(on_cluster(cluster, data).stdout) == shop.digest
    assert not list(tmp_path.glob("home/models/*/spark-*")), "nothing is left behind"
    # The job itself reads the same table by JDBC.
    words = ["--engine", data.engine, "--models", tmp_path / "m", "--table", "pio_event_1", *database.login(tmp_path), "--events"]
    jobs = [[*words, database.jdbc], [*words, database.url]]
    right, wrong = cluster.spark.jobs("local[2]", tmp_path, *jobs, jars=[database.driver], TZ="UTC")
    assert right.digest() == shop.digest
    assert "--events postgresql://…: Spark reads databases by JDBC" in wrong.error()
    assert database.password not in wrong.log


@pytest.fixture(scope="module")
def hbase(tmp_path_factory):
    """An HBase of our own; gives its URL."""
    folder = tmp_path_factory.mktemp("hbase")
    environment = {**os.environ, "JAVA_HOME": JAVA_HOME}
    subprocess.run([ROOT / "scripts/hbase", "up", folder], check=True, env=environment, capture_output=True)
    ports = dict(entry.split("=") for entry in (folder / "ports").read_text().split())
    yield f"hbase://127.0.0.1:{ports['zk']}/hbase"
    subprocess.run([ROOT / "scripts/hbase", "down", folder], env=environment)


@ON_ONE_CLUSTER
def test_events_in_hbase(cluster, shop, hbase, tmp_path):
    data = elsewhere(shop, tmp_path, ARBLAST_EVENTS_URL=hbase)
    assert digest_of(on_cluster(cluster, data).stdout) == shop.digest
    words = ["--engine", data.engine, "--models", tmp_path / "m", "--events", hbase, "--table"]
    right, wrong = cluster.spark.jobs("local[2]", tmp_path, [*words, "pio_event:events_1"], [*words, "clicks_1"])
    assert right.digest() == shop.digest
    assert "the table of events in HBase is called events_APP" in wrong.error()
