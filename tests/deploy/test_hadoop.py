"""deploy/hadoop: events in HBase, models on HDFS, answers from Elasticsearch, by PredictionIO's own variables."""

import pytest

from conftest import Clients, Machine, ask, names_stored, text_of
from parts import Database, Elasticsearch, HBase, free_port, until

KEY = "key-of-hadoop"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hadoop")
    started = [Database("mariadb"), HBase(folder / "hbase"), Elasticsearch(1)]
    yield started
    for part in started:
        part.stop()


def test_the_old_variables_lead_to_the_old_parts(parts, tmp_path, shop):
    database, hbase, elasticsearch = parts
    conf = hbase.folder / "conf"
    variables = text_of("hadoop/pio-env.sh", {
        "/etc/hbase/conf": conf, "/etc/hadoop/conf": conf, "10.0.0.21/pio": database.place, "CHANGE-ME": "pio:secret",
        "10.0.0.31": "127.0.0.1", "PORTS=9200": f"PORTS={elasticsearch.ports[0]}",
    })
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/pio-env.sh").write_text(variables)
    machines = [Machine(tmp_path / name, shop, PIO_CONF_DIR=tmp_path / "conf", HADOOP_USER_NAME="root") for name in ("one", "two")]
    machines[0].run("app", "new", "shop", "--access-key", KEY)
    machines[0].run("import", "--app", "shop", "--input", "events.jsonl")
    told = machines[0].run("status")
    for place in ("mysql://", "hbase://", "hdfs://"):
        assert place in told and "pio:secret" not in told, told
    machines[0].run("train")
    events, queries = free_port(), free_port()
    machines[0].start("events", events, "eventserver", "--ip", "127.0.0.1", "--port", events)
    machines[1].start("queries", queries, "deploy", "--ip", "127.0.0.1", "--port", queries)
    clients = Clients(events, queries, KEY)
    try:
        clients.progress()
        machines[0].kill("events")
        machines[0].start("events", events, "eventserver", "--ip", "127.0.0.1", "--port", events)
        machines[1].kill("queries")
        machines[1].start("queries", queries, "deploy", "--ip", "127.0.0.1", "--port", queries)
        clients.progress()
        clients.failed.clear()  # There is one of each here: clients saw that they were away.
        machines[0].run("train")
        until("the new generation", lambda: ask(queries, "GET", "/status.json")[1]["model"]["generation"] == 2, 15)
        hbase.script("kill", "rs1")
        clients.progress()
        # An event that waits for its region is no failure, and a history that does is left out.
        assert [failure for failure in clients.failed if failure[0] == "/queries.json"] == []
    finally:
        clients.stop()
    stored = names_stored(events, KEY)
    assert set(clients.acknowledged) <= set(stored) and len(stored) == len(set(stored))
    for machine in machines:
        machine.stop()
