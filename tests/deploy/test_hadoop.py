"""deploy/hadoop: events in HBase, models on HDFS, answers from Elasticsearch, by PredictionIO's own variables. Each of our processes, and
of those that clients wait for, may die."""

from cluster import Cluster, some_ports
from conftest import Machine, names_stored, text_of
from parts import Database, Elasticsearch, HBase, until

KEY = "key-of-hadoop"


def with_their_ports(ports, what):
    return "--ip", "127.0.0.1", "--port", ports[what]


def test_the_old_variables_lead_to_the_old_parts(tmp_path, shop, parts):
    database, hbase, elasticsearch = parts.add(Database("mariadb")), parts.add(HBase(tmp_path / "hbase")), parts.add(Elasticsearch(2))
    conf = hbase.folder / "conf"
    variables = text_of("hadoop/pio-env.sh", {
        "/etc/hbase/conf": conf, "/etc/hadoop/conf": conf, "10.0.0.21/pio": database.place, "CHANGE-ME": "pio:secret",
        "10.0.0.31,10.0.0.32": "127.0.0.1,127.0.0.1", "PORTS=9200,9200": "PORTS=" + ",".join(map(str, elasticsearch.ports)),
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
    cluster = parts.add(Cluster(tmp_path, machines, [some_ports() for _ in machines], with_their_ports))
    clients = parts.add(cluster.clients(KEY))
    cluster.lose_each_server(clients)
    clients.lose("HAProxy", cluster.proxies[0].kill)
    machines[0].run("train")
    cluster.wait_for(2)
    until("copies of the index", elasticsearch.are_copied)
    clients.lose("a node of Elasticsearch", lambda: elasticsearch.kill(1))
    clients.lose("HBase's master", lambda: hbase.script("kill", "hm"))
    # Only a master gives a dead server's regions to others.
    hbase.script("start", "hm")
    hbase.script("ready", 2)
    clients.lose("a region server", lambda: hbase.script("kill", "rs1"))
    clients.stop()
    print(f"{len(clients.acknowledged)} events, {clients.answers} answers, tried again: {clients.retried}")
    stored = names_stored(cluster.fronts[1]["events"], KEY)
    assert stored == sorted(clients.acknowledged), "each acknowledged event is there once"
