"""Servers of others, each of its own and on free ports."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "pio:secret"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(what, ready, seconds=120):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what} is not ready in {seconds} s"
        time.sleep(0.1)


class Database:
    """What scripts/database starts; it ends with its input."""

    def __init__(self, kind, *words):
        self.process = subprocess.Popen([ROOT / "scripts/database", kind, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("ready "), line
        self.port, self.folder = int(line.split()[1]), Path(line.split()[2])
        self.place = f"127.0.0.1:{self.port}/pio"

    def order(self, *words):
        """What the script obeys; gives its answer."""
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        lines = []
        while not lines or lines[-1].split()[0] not in ("done", "failed", "killed", "ready"):
            lines.append(self.process.stdout.readline().strip())
            assert lines[-1] not in ("", "failed"), f"{words}: {lines}"
        return lines

    def workers(self):
        """Processes that serve connections to PostgreSQL."""
        main = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [int(child) for child in children if b"idle" in Path(f"/proc/{child}/cmdline").read_bytes()]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


class Elasticsearch:
    """Nodes of one cluster."""

    def __init__(self, count):
        # It must not be root, who alone may look into the folders of tests.
        self.folder = Path(tempfile.mkdtemp(prefix="arblast-elasticsearch-"))
        self.folder.chmod(0o755)
        self.home = Path(subprocess.run([ROOT / "scripts/elasticsearch", "elasticsearch-8.19.21"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
        self.ports = [free_port() for _ in range(count)]
        self.transports = [free_port() for _ in range(count)]
        self.folders = [self.folder / f"node{number}" for number in range(count)]
        for number in range(count):
            self.configure(number)
        self.processes = [self.start(number) for number in range(count)]
        until(f"Elasticsearch in {self.folder}", lambda: all(self.knows(port, count) for port in self.ports))

    def configure(self, number):
        folder = self.folders[number]
        for name in ("conf/jvm.options.d", "data", "logs", "tmp"):
            (folder / name).mkdir(parents=True)
        shutil.copy(self.home / "config/log4j2.properties", folder / "conf")
        options = (self.home / "config/jvm.options").read_text().splitlines()
        options = [line for line in options if not any(word in line for word in ("HeapDump", "Xlog", "ErrorFile", "UseG1GC"))]
        (folder / "conf/jvm.options").write_text("\n".join(options))
        (folder / "conf/jvm.options.d/test.options").write_text("-Xms160m\n-Xmx160m\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n")
        hosts = ", ".join(f'"127.0.0.1:{port}"' for port in self.transports)
        names = ", ".join(f'"node{other}"' for other in range(len(self.ports)))
        (folder / "conf/elasticsearch.yml").write_text(
            f"cluster.name: deploy-{self.transports[0]}\nnode.name: node{number}\nnetwork.host: 127.0.0.1\nhttp.port: {self.ports[number]}\n"
            f"transport.port: {self.transports[number]}\ndiscovery.seed_hosts: [{hosts}]\ncluster.initial_master_nodes: [{names}]\n"
            f"path.data: {folder}/data\npath.logs: {folder}/logs\nnode.processors: 2\nxpack.security.enabled: false\n"
            "cluster.routing.allocation.disk.threshold_enabled: false\ncluster.fault_detection.follower_check.timeout: 2s\n"
        )

    def start(self, number):
        folder = self.folders[number]
        command = [self.home / "bin/elasticsearch"]
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "65534:65534", folder], check=True)
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", *command]
        environment = {name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "JAVA_OPTS")}
        environment |= {
            "ES_PATH_CONF": f"{folder}/conf", "ES_TMPDIR": f"{folder}/tmp", "ES_JAVA_HOME": "/usr/lib/jvm/java-17-openjdk-amd64",
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1", "HOSTNAME": "localhost",
        }
        with open(folder.parent / f"{folder.name}.log", "w") as log:
            return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def knows(self, port, count):
        health = f"http://127.0.0.1:{port}/_cluster/health?wait_for_nodes={count}&timeout=1s"
        try:
            with urllib.request.urlopen(health, timeout=5) as answer:
                return b'"timed_out":false' in answer.read()
        except OSError:
            return False

    def are_copied(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[0]}/_cluster/health?wait_for_status=green&timeout=1s", timeout=5) as answer:
            return b'"status":"green"' in answer.read()

    def kill(self, number):
        os.killpg(self.processes[number].pid, signal.SIGKILL)
        self.processes[number].wait()

    def stop(self):
        for number, process in enumerate(self.processes):
            if process.poll() is None:
                self.kill(number)
        shutil.rmtree(self.folder)


class HBase:
    """HBase and HDFS, which scripts/hbase starts."""

    def __init__(self, folder):
        self.folder = folder
        self.script("up")

    def script(self, action, *words):
        subprocess.run([ROOT / "scripts/hbase", action, self.folder, *map(str, words)], check=True, stdout=subprocess.PIPE)

    def stop(self):
        self.script("down")


class HAProxy:
    """With a configuration as it stands in deploy/, but for its addresses."""

    def __init__(self, folder, configuration):
        folder.mkdir()
        (folder / "haproxy.cfg").write_text(configuration)
        self.log = folder / "haproxy.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(["haproxy", "-W", "-f", folder / "haproxy.cfg"], stdout=log, stderr=log)
        self.ports = [int(port) for port in re.findall(r"bind 127\.0\.0\.1:(\d+)", configuration)]
        until("HAProxy", lambda: all(listens(port) for port in self.ports))

    def kill(self):
        """The one that serves, too: `-W` has a master before it."""
        self.process.kill()
        until("the end of HAProxy", lambda: not any(listens(port) for port in self.ports))

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
