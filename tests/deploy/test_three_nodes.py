"""deploy/three-nodes: servers behind HAProxy, on PostgreSQL and its standby, and Elasticsearch. Each process may die."""

import os
import signal
import time

from cluster import Cluster, some_ports
from conftest import Machine, names_stored, text_of
from parts import Database, Elasticsearch, until

KEY = "key-of-three-nodes"


class Databases:
    """A primary, and a standby that has every event before it is acknowledged."""

    def __init__(self):
        self.primary = Database("postgresql")
        self.standby = Database("postgresql", "standby", self.primary.port)
        self.primary.order("sql postgres alter system set synchronous_standby_names = '*'")
        self.primary.order("sql postgres select pg_reload_conf()")
        self.place = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}/pio"

    def fail_over(self):
        """What Patroni or an operator does."""
        self.primary.order("kill")
        time.sleep(1)
        self.standby.order("promote")

    def stop(self):
        self.primary.stop()
        self.standby.stop()


def machines_on(databases, elasticsearch, folder, shop, ports):
    index = ",".join(f"127.0.0.1:{port}" for port in elasticsearch.ports)
    for number, own in enumerate(ports):
        at = folder / f"machine{number}"
        machine = Machine(at, shop, ARBLAST_CONFIG=at / "arblast.json")
        (at / "arblast.json").write_text(text_of("three-nodes/arblast.json", {
            "CHANGE-ME": "pio%3Asecret", "10.0.0.21,10.0.0.22/pio": databases.place, "10.0.0.31:9200,10.0.0.32:9200": index,
            "0.0.0.0": "127.0.0.1", "7070": own["events"], "8000": own["queries"],
        }))
        yield machine


def test_who_dies_is_not_missed(tmp_path, shop, parts):
    databases, elasticsearch = parts.add(Databases()), parts.add(Elasticsearch(2))
    ports = [some_ports() for _ in range(2)]
    machines = list(machines_on(databases, elasticsearch, tmp_path, shop, ports))
    machines[0].run("app", "new", "shop", "--access-key", KEY)
    machines[1].run("import", "--app", "shop", "--input", "events.jsonl")
    machines[1].run("train")
    cluster = parts.add(Cluster(tmp_path, machines, ports))
    clients = parts.add(cluster.clients(KEY))
    cluster.lose_each_server(clients)
    clients.lose("HAProxy", cluster.proxies[0].kill)
    # A train on one machine is served by both, while they answer.
    machines[0].run("train")
    cluster.wait_for(2)
    machines[1].run("rollback")
    cluster.wait_for(1)
    until("copies of the index", elasticsearch.are_copied)
    clients.lose("a node of Elasticsearch", lambda: elasticsearch.kill(1))
    clients.lose("a worker of PostgreSQL", lambda: os.kill(databases.primary.workers()[0], signal.SIGKILL))
    clients.lose("all of PostgreSQL's first machine", databases.fail_over)
    clients.stop()
    print(f"{len(clients.acknowledged)} events, {clients.answers} answers, tried again: {clients.retried}")
    assert names_stored(cluster.fronts[1]["events"], KEY) == sorted(clients.acknowledged), "each acknowledged event is there once"
