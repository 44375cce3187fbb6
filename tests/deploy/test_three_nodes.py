"""deploy/three-nodes: two event servers and two query servers behind HAProxy, on PostgreSQL and Elasticsearch. Each may die."""

import os
import signal
import time

import pytest

from conftest import Clients, Machine, ask, names_stored, text_of
from parts import Database, Elasticsearch, HAProxy, free_port, until

KEY = "key-of-three-nodes"


class Nodes:
    def __init__(self, folder, shop):
        self.database = Database("postgresql")
        self.elasticsearch = Elasticsearch(2)
        self.front = {"events": free_port(), "queries": free_port()}
        self.ports = [{"events": free_port(), "queries": free_port()} for _ in range(2)]
        index = ",".join(f"127.0.0.1:{port}" for port in self.elasticsearch.ports)
        self.machines = []
        for number, ports in enumerate(self.ports):
            settings = text_of("three-nodes/arblast.json", {
                "CHANGE-ME": "pio%3Asecret", "10.0.0.21/pio": self.database.place, "10.0.0.31:9200,10.0.0.32:9200": index,
                "0.0.0.0": "127.0.0.1", "7070": ports["events"], "8000": ports["queries"],
            })
            at = folder / f"machine{number}"
            machine = Machine(at, shop, ARBLAST_CONFIG=at / "arblast.json")
            (at / "arblast.json").write_text(settings)
            self.machines.append(machine)
        self.machines[0].run("app", "new", "shop", "--access-key", KEY)
        self.machines[1].run("import", "--app", "shop", "--input", "events.jsonl")
        self.machines[1].run("train")
        for number in range(2):
            self.serve(number, "events")
            self.serve(number, "queries")
        addresses = {f"10.0.0.10:{port}": f"127.0.0.1:{self.front[what]}" for what, port in (("events", 7070), ("queries", 8000))}
        for number, ports in enumerate(self.ports):
            addresses |= {f"10.0.0.1{number + 1}:{port}": f"127.0.0.1:{ports[what]}" for what, port in (("events", 7070), ("queries", 8000))}
        self.haproxy = HAProxy(folder, text_of("three-nodes/haproxy.cfg", addresses))

    def serve(self, number, what):
        self.machines[number].start(what, self.ports[number][what], {"events": "eventserver", "queries": "deploy"}[what])

    def generations(self):
        found = [ask(ports["queries"], "GET", "/status.json")[1]["model"] for ports in self.ports]
        return [model["generation"] for model in found]

    def stop(self):
        self.haproxy.stop()
        for machine in self.machines:
            machine.stop()
        self.elasticsearch.stop()
        self.database.stop()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, shop):
    nodes = Nodes(tmp_path_factory.mktemp("nodes"), shop)
    yield nodes
    nodes.stop()


def test_who_dies_is_not_missed(nodes):
    clients = Clients(nodes.front["events"], nodes.front["queries"], KEY)
    try:
        for number in range(2):
            for what in ("events", "queries"):
                clients.progress()
                nodes.machines[number].kill(what)
                clients.progress()
                assert clients.failed == [], f"{what} of machine {number}"
                nodes.serve(number, what)
                # Until HAProxy has seen that it is back.
                time.sleep(1.5)
        # A train on one machine is served by both, while they answer.
        nodes.machines[0].run("train")
        until("the new generation everywhere", lambda: nodes.generations() == [2, 2], 15)
        nodes.machines[1].run("rollback")
        until("the old generation everywhere", lambda: nodes.generations() == [1, 1], 15)
        clients.progress()
        until("copies of the index", nodes.elasticsearch.are_copied)
        nodes.elasticsearch.kill(1)
        clients.progress()
        assert clients.failed == [], "a node of Elasticsearch"
        os.kill(nodes.database.workers()[0], signal.SIGKILL)
        clients.progress()
        assert clients.failed == [], "a worker of PostgreSQL"
    finally:
        clients.stop()
    print(f"{len(clients.acknowledged)} events, {clients.answers} answers, tried again: {clients.retried}")
    assert names_stored(nodes.front["events"], KEY) == sorted(clients.acknowledged), "each acknowledged event is there once"
