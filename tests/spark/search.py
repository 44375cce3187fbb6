"""A real Elasticsearch: a node of our own."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from conftest import JAVA_HOME, ROOT, free_port

NOBODY = 65534


class SearchServer:
    def __init__(self):
        # It must not be root, who alone may look into the folders of tests.
        folder = Path(tempfile.mkdtemp(prefix="arblast-search-"))
        folder.chmod(0o755)
        asked = subprocess.run([ROOT / "scripts/elasticsearch", "elasticsearch-8.19.21"], check=True, capture_output=True, text=True)
        home, self.folder, self.port = ROOT / asked.stdout.strip(), folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for name in ("conf/jvm.options.d", "data", "logs", "tmp"):
            (folder / name).mkdir(parents=True)
        for name in ("log4j2.properties", "jvm.options"):
            lines = (home / "config" / name).read_text().splitlines(keepends=True)
            unwanted = ("HeapDump", "Xlog", "ErrorFile", "UseG1GC")
            (folder / "conf" / name).write_text("".join(line for line in lines if not any(word in line for word in unwanted)))
        (folder / "conf/jvm.options.d/test.options").write_text("-Xms160m\n-Xmx160m\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n")
        (folder / "conf/elasticsearch.yml").write_text(
            f"discovery.type: single-node\nnetwork.host: 127.0.0.1\nhttp.port: {self.port}\ntransport.port: {free_port()}\n"
            f"path.data: {folder}/data\npath.logs: {folder}/logs\nxpack.security.enabled: false\nnode.processors: 2\n"
            "cluster.routing.allocation.disk.threshold_enabled: false\n"
        )
        environment = {
            **os.environ, "ES_PATH_CONF": str(folder / "conf"), "ES_TMPDIR": str(folder / "tmp"), "ES_JAVA_HOME": JAVA_HOME,
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        }
        environment.pop("JAVA_HOME", None)
        # It refuses to be root.
        nobody = {}
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", folder], check=True)
            nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        with open(folder / "out.log", "w") as log:
            self.process = subprocess.Popen(
                [home / "bin/elasticsearch"], env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **nobody
            )

    def ready(self):
        deadline = time.monotonic() + 120
        while not self.answers():
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "out.log").read_text()[-3000:]
            time.sleep(0.2)
        return self

    def answers(self):
        try:
            return self.ask("GET", "/_cluster/health")["status"]
        except OSError:
            return None

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def indexes(self):
        """Names of all indexes, and whether an alias makes one the current of its engine."""
        return {name: name.rpartition("-")[0] in index["aliases"] for name, index in sorted(self.ask("GET", "/_all/_alias").items())}

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        shutil.rmtree(self.folder)
