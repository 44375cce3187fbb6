"""Real clusters: a scheduler and executors, processes of their own on this machine."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JAVA_HOME = os.environ.get("SPARK_JAVA_HOME", "/usr/lib/jvm/java-17-openjdk-amd64")
ARBLAST = os.environ.get("ARBLAST", str(ROOT / "target/debug/arblast"))
# The time of every train here: windows end at it.
NOW = "2026-11-29T00:00:00Z"
# Of a scheduler: the shortest time after which a silent executor counts as dead.
TIMEOUT_S = 10


class Process:
    """A server of a cluster, with its log."""

    def __init__(self, folder, name, *words):
        self.log = folder / f"{name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [ARBLAST, "flight", *map(str, words)], cwd=folder, env={**os.environ, "ARBLAST_HOME": str(folder / "home")},
                stdout=log, stderr=log, start_new_session=True,
            )

    def says(self, pattern, timeout=60):
        """Waits for a line of the log; gives what the pattern finds."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.log.read_text())):
            assert time.monotonic() < deadline and self.process.poll() is None, f"no {pattern}:\n{self.log.read_text()}"
            time.sleep(0.05)
        return found

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=60)


class Cluster:
    """A scheduler and executors."""

    def __init__(self, folder, executors=2, **options):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.executors = []
        self.begin(0)
        for _ in range(executors):
            self.add(**options)

    def begin(self, port):
        """The scheduler."""
        self.scheduler = Process(self.folder, f"scheduler-{port}", "scheduler", "--port", port, "--executor-timeout", TIMEOUT_S)
        self.address = self.scheduler.says(r"listens on (127\.0\.0\.1:\d+)")[1]

    def add(self, memory="1g", vcores=1):
        """One more executor."""
        name = f"executor{len(self.executors)}"
        executor = Process(
            self.folder, name, "executor", "--scheduler", self.address, "--vcores", vcores, "--memory", memory,
            "--work-dir", self.folder / name,
        )
        self.executors.append(executor)
        before = self.living()
        executor.says(r"works for")
        deadline = time.monotonic() + 60
        while self.living() <= before and self.living() < len(self.executors):
            assert time.monotonic() < deadline, executor.log.read_text()
            time.sleep(0.05)
        return executor

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.load(answer)

    def living(self):
        return len(self.get("/arblast")["executors"])

    def stop(self):
        for process in [*self.executors, self.scheduler]:
            process.stop()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def digest_of(text):
    return re.search(r"digest ([0-9a-f]{64})", text).group(1)


class Data:
    """Events and an engine file, and the model that `arblast train` makes of them."""

    def __init__(self, folder):
        self.folder, self.home = folder, folder / "home"
        self.engine, self.events = folder / "engine.json", folder / "events.jsonl"

    def command(self, *words, **environment):
        return {
            "args": [ARBLAST, *map(str, words)], "cwd": self.folder, "text": True,
            "env": {**os.environ, "ARBLAST_HOME": str(self.home), **environment},
        }

    def arblast(self, *words, check=True, **environment):
        done = subprocess.run(**self.command(*words, **environment), capture_output=True, timeout=600)
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def trained(self, app):
        self.arblast("app", "new", app)
        self.arblast("import", "--app", app, "--input", self.events)
        self.digest = digest_of(self.arblast("train", "--now", NOW).stdout)
        return self

    def words(self, cluster, models, *more, events=None):
        return [
            "flight", "train", "--scheduler", getattr(cluster, "address", cluster), "--engine", self.engine, "--events", events or self.events,
            "--models", models, "--now", NOW, *more,
        ]

    def train(self, cluster, models, *more, events=None, check=True):
        """Trains on a cluster, away from the home; gives what it did."""
        return self.arblast(*self.words(cluster, models, *more, events=events), check=check)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([ARBLAST, "sample", "shop"], cwd=folder, check=True, capture_output=True)
    return Data(folder / "shop").trained("shop")


@pytest.fixture(scope="session")
def handmade(tmp_path_factory):
    """The Universal Recommender's own integration case, if the reference data is at hand."""
    given = ROOT.parent / "shared/data/ur-handmade"
    if not given.is_dir():
        pytest.skip(f"{given} is not there")
    folder = tmp_path_factory.mktemp("handmade")
    for name in ("engine.json", "events.jsonl"):
        (folder / name).write_bytes((given / name).read_bytes())
    return Data(folder).trained("handmade")


ENGINE = """{"id":"million","engineFactory":"com.actionml.RecommendationEngine","datasource":{"params":{"appName":"million"}},
 "algorithms":[{"name":"ur","params":{"appName":"million","indexName":"million","indicators":[{"name":"purchase"},{"name":"view"}]}}]}"""


@pytest.fixture(scope="session")
def million(tmp_path_factory):
    """The data of bench/gen.py S: 1 M views, 100 k purchases, as events."""
    folder = ROOT / "target/bench-data/S"
    if not (folder / "meta.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([os.sys.executable, ROOT / "bench/gen.py", "S", folder], check=True, capture_output=True)
    data = Data(tmp_path_factory.mktemp("million"))
    data.engine.write_text(ENGINE)
    with data.events.open("w") as out:
        for name, count in (("purchase", 100_000), ("view", 1_000_000)):
            subprocess.run([os.sys.executable, ROOT / "bench/events.py", folder / f"{name}.csv", str(count), name], stdout=out, check=True)
    return data.trained("million")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def fragile(tmp_path):
    """A cluster of its own, for those who break it."""
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    cluster.stop()
