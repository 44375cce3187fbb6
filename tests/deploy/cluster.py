"""Two machines that each run an event server and a query server, behind two HAProxys with the file of three-nodes."""

import time

from conftest import Clients, ask, text_of
from parts import HAProxy, free_port, until

PROGRAMS = {"events": "eventserver", "queries": "deploy"}
USUAL = {"events": 7070, "queries": 8000}


def some_ports():
    return {what: free_port() for what in PROGRAMS}


class Cluster:
    """`options(ports, what)`: what a server is started with."""

    def __init__(self, folder, machines, ports, options=lambda ports, what: ()):
        self.machines, self.ports, self.options = machines, ports, options
        for number in range(len(machines)):
            for what in PROGRAMS:
                self.serve(number, what)
        self.fronts = [some_ports() for _ in range(2)]
        self.proxies = [HAProxy(folder / f"proxy{number}", self.configuration(front)) for number, front in enumerate(self.fronts)]

    def configuration(self, front):
        addresses = {f"10.0.0.10:{USUAL[what]}": f"127.0.0.1:{port}" for what, port in front.items()}
        for number, ports in enumerate(self.ports):
            addresses |= {f"10.0.0.1{number + 1}:{USUAL[what]}": f"127.0.0.1:{port}" for what, port in ports.items()}
        return text_of("three-nodes/haproxy.cfg", addresses)

    def serve(self, number, what):
        ports = self.ports[number]
        self.machines[number].start(what, ports[what], PROGRAMS[what], *self.options(ports, what))

    def clients(self, key):
        return Clients(self.fronts, key)

    def lose_each_server(self, clients):
        """One after the other, and each comes back."""
        for number, machine in enumerate(self.machines):
            for what in PROGRAMS:
                clients.lose(f"{what} of machine {number}", lambda: machine.kill(what))
                self.serve(number, what)
                # Until HAProxy has seen that it is back.
                time.sleep(1.5)

    def wait_for(self, generation):
        def generations():
            return {ask(ports["queries"], "GET", "/status.json")[1]["model"]["generation"] for ports in self.ports}

        until(f"generation {generation} everywhere", lambda: generations() == {generation}, 15)

    def stop(self):
        for part in (*self.proxies, *self.machines):
            part.stop()
