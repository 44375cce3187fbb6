"""A real HDFS: a NameNode and a DataNode of our own."""

import json
import os
import signal
import subprocess
import time
import urllib.request

from conftest import JAVA_HOME, ROOT, free_port

FLAGS = ["-XX:+UseSerialGC", "-Xss512k", "-Xmx128m", "-XX:TieredStopAtLevel=1", "--add-opens", "java.base/java.lang=ALL-UNNAMED"]


def xml(settings):
    members = "".join(f"<property><name>{name}</name><value>{value}</value></property>" for name, value in settings.items())
    return f"<configuration>{members}</configuration>"


class Hdfs:
    def __init__(self, folder):
        self.folder, self.conf, self.processes = folder, folder / "conf", []
        self.web = free_port()
        self.url = f"hdfs://127.0.0.1:{free_port()}"
        # Without these the daemons do not start.
        for page in ("hdfs", "datanode"):
            (self.conf / "webapps" / page).mkdir(parents=True)
        (self.conf / "core-site.xml").write_text(xml({"fs.defaultFS": self.url, "hadoop.tmp.dir": folder / "tmp"}))
        local = {
            "dfs.replication": 1, "dfs.permissions.enabled": "false", "dfs.namenode.safemode.extension": 0, "dfs.heartbeat.interval": 1,
            "dfs.namenode.http-address": f"127.0.0.1:{self.web}", "dfs.namenode.name.dir": folder / "name", "dfs.datanode.data.dir": folder / "data",
            "dfs.datanode.hostname": "127.0.0.1", "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        }
        for what in ("address", "ipc.address", "http.address"):
            local[f"dfs.datanode.{what}"] = f"127.0.0.1:{free_port()}"
        (self.conf / "hdfs-site.xml").write_text(xml(local))
        (self.conf / "log4j.properties").write_text(
            "log4j.rootLogger=WARN,console\nlog4j.appender.console=org.apache.log4j.ConsoleAppender\n"
            "log4j.appender.console.target=System.err\nlog4j.appender.console.layout=org.apache.log4j.SimpleLayout\n"
        )
        name_node = "org.apache.hadoop.hdfs.server.namenode.NameNode"
        subprocess.run(self.java(name_node, "-format", "-force", "-nonInteractive"), check=True, capture_output=True)
        self.start("name", name_node)
        self.start("data", "org.apache.hadoop.hdfs.server.datanode.DataNode")
        deadline = time.monotonic() + 120
        while not self.is_ready():
            assert time.monotonic() < deadline, (folder / "name.log").read_text()[-3000:] + (folder / "data.log").read_text()[-3000:]
            time.sleep(0.5)

    def java(self, main, *words):
        return [f"{JAVA_HOME}/bin/java", *FLAGS, "-cp", f"{self.conf}:{ROOT}/target/spark/hdfs/*", main, *map(str, words)]

    def start(self, name, main):
        with open(self.folder / f"{name}.log", "w") as log:
            self.processes.append(subprocess.Popen(self.java(main), stdout=log, stderr=log, start_new_session=True))

    def is_ready(self):
        try:
            beans = f"http://127.0.0.1:{self.web}/jmx?qry=Hadoop:service=NameNode,name="
            with urllib.request.urlopen(beans + "FSNamesystemState", timeout=5) as live, urllib.request.urlopen(beans + "NameNodeInfo", timeout=5) as info:
                return json.load(live)["beans"][0]["NumLiveDataNodes"] == 1 and not json.load(info)["beans"][0]["Safemode"]
        except (OSError, IndexError, KeyError):
            return False

    def shell(self, *words):
        done = subprocess.run(self.java("org.apache.hadoop.fs.FsShell", *words), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self):
        for process in reversed(self.processes):
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait(timeout=60)
