"""Real Sparks from the PySpark packages: submit to them, and standalone clusters of a master and two workers."""

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
ARBLAST = os.environ.get("ARBLAST", str(ROOT / "target/debug/arblast"))
JAR = ROOT / "jvm-shim/target/arblast-spark.jar"
JAVA_HOME = os.environ.get("SPARK_JAVA_HOME", "/usr/lib/jvm/java-17-openjdk-amd64")
VERSIONS = os.environ["SPARK_VERSIONS"].split()
CLUSTERS = os.environ["SPARK_CLUSTERS"].split()
# For what one cluster shows as well as several.
ON_ONE_CLUSTER = pytest.mark.parametrize("cluster", CLUSTERS[:1], indirect=True)
# The time of every train here: windows end at it. The sample shop ends today, too.
NOW = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime())
# Spark 3 in cluster mode on Java 17 needs these for its driver; elsewhere Spark gives them itself.
OPENS = " ".join(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in "java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util java.util.concurrent"
    " java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar".split()
)
# What tests do not look at, and what little data does not need.
QUICK = ["--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=4"]
TRAIN = ["--class", "dev.arblast.spark.TrainJob", str(JAR)]


class Spark:
    """A Spark distribution."""

    def __init__(self, version):
        self.version = version
        self.venv = ROOT / "target/spark" / version
        (self.home,) = self.venv.glob("lib/python3*/site-packages/pyspark")

    def environment(self, **more):
        mine = {
            "SPARK_HOME": str(self.home), "JAVA_HOME": JAVA_HOME, "PYSPARK_PYTHON": str(self.venv / "bin/python"),
            # Processes here are short: they should not compile much.
            "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "384m", "SPARK_DAEMON_JAVA_OPTS": "-Dspark.worker.timeout=20",
        }
        return {**os.environ, **mine, **more}

    def submit(self, *words, check=True, timeout=300, **environment):
        """Runs spark-submit; gives what it did, with standard error in one text."""
        done = subprocess.run(
            [self.home / "bin/spark-submit", *QUICK, *map(str, words)], env=self.environment(**environment), capture_output=True, text=True, timeout=timeout
        )
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr[-6000:]}"
        return done

    def shell(self, *words, timeout=300):
        """Runs spark-shell without a terminal."""
        words = [self.home / "bin/spark-shell", *map(str, words)]
        return subprocess.run(words, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)

    def train(self, master, *words, submit=(), **more):
        """Runs a TrainJob; gives the outcome that it tells."""
        done = self.submit("--master", master, *submit, *TRAIN, "--now", NOW, *words, **more)
        return json.loads(done.stdout.strip().splitlines()[-1])


    def jobs(self, master, folder, *jobs, jars=(), submit=(), **more):
        """Runs TrainJobs in one JVM, each with a SparkContext of its own; gives a `Done` for each."""
        file = folder / "jobs.json"
        file.write_text(json.dumps([[*map(str, words), "--now", NOW] for words in jobs]))
        jars = ",".join(map(str, [JAR, *jars]))
        done = self.submit("--master", master, *submit, "--jars", jars, ROOT / "tests/spark/scripts/jobs.py", file, **more)
        logs = done.stderr.split("=== the next job\n")[1:]
        told = (json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"engineInstanceId"'))
        status = json.loads((folder / "jobs.json.status").read_text())
        assert len(logs) == len(status) == len(jobs), done.stderr[-6000:]
        return [Done(status, log, next(told) if status == 0 else None) for status, log in zip(status, logs)]


class Done:
    """A job that ended: its exit code, its log, and what it told."""

    def __init__(self, status, log, told):
        self.status, self.log, self.told = status, log, told

    def digest(self):
        assert self.status == 0, self.log[-6000:]
        return self.told["digest"]

    def error(self, status=1):
        assert self.status == status, self.log[-6000:]
        (line,) = [line for line in self.log.splitlines() if line.startswith("[ERROR]")]
        return line


class Cluster:
    """A standalone master and two workers, processes of their own."""

    def __init__(self, spark, folder, cores=1, memory="2g"):
        self.spark, self.folder = spark, folder
        folder.mkdir(parents=True)
        self.processes = []
        port, self.web = free_port(), free_port()
        self.master = f"spark://127.0.0.1:{port}"
        self.start("master", "Master", "--host", "127.0.0.1", "--port", port, "--webui-port", self.web)
        for number in (1, 2):
            self.start(
                f"worker{number}", "worker.Worker", "--host", "127.0.0.1", "--webui-port", free_port(), "-c", cores, "-m", memory, "-d",
                folder / f"w{number}", self.master,
            )
        deadline = time.monotonic() + 120
        while len([worker for worker in self.state()["workers"] if worker["state"] == "ALIVE"]) < 2:
            assert time.monotonic() < deadline, (folder / "master.log").read_text()
            time.sleep(0.5)

    def start(self, name, what, *words):
        main = "org.apache.spark.deploy." + (what if "." in what else f"{what.lower()}.{what}")
        with open(self.folder / f"{name}.log", "w") as log:
            self.processes.append(
                subprocess.Popen(
                    [self.spark.home / "bin/spark-class", main, *map(str, words)], stdout=log, stderr=log, start_new_session=True,
                    env=self.spark.environment(SPARK_LOCAL_DIRS=str(self.folder / "local"), SPARK_LOG_DIR=str(self.folder)),
                )
            )

    def state(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/json/", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {"workers": []}

    def stop(self):
        for process in reversed(self.processes):
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait(timeout=60)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def digest_of(text):
    return re.search(r"digest ([0-9a-f]{64})", text).group(1)


class Data:
    """Events and an engine file, and the model that `arblast train` makes of them."""

    def __init__(self, folder, **environment):
        self.folder, self.home, self.environment = folder, folder / "home", environment
        self.engine, self.events = folder / "engine.json", folder / "events.jsonl"

    def start(self, *words, **environment):
        """A running `arblast`."""
        environment = {**os.environ, "ARBLAST_HOME": str(self.home), **self.environment, **environment}
        return subprocess.Popen(
            [ARBLAST, *map(str, words)], cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def arblast(self, *words, check=True, **environment):
        """Runs `arblast`; gives what it did."""
        process = self.start(*words, **environment)
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
        done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def trained(self, app):
        self.arblast("app", "new", app)
        self.arblast("import", "--app", app, "--input", self.events)
        self.digest = digest_of(self.arblast("train", "--now", NOW).stdout)
        return self


class Database:
    """A PostgreSQL of our own, by scripts/database; with a database for events, where anybody may make tables."""

    password = "pio:secret"
    driver = ROOT / "target/spark/jdbc/postgresql.jar"

    def __init__(self):
        self.process = subprocess.Popen([ROOT / "scripts/database", "postgresql"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        _, self.port, _ = self.process.stdout.readline().split()
        self.url = f"postgresql://pio:pio%3Asecret@127.0.0.1:{self.port}/pio"
        self.jdbc = f"jdbc:postgresql://127.0.0.1:{self.port}/pio"

    def psql(self, text):
        words = ["psql", "-h", "127.0.0.1", "-p", self.port, "-U", "pio", "-q", "-v", "ON_ERROR_STOP=1", "pio"]
        subprocess.run(words, input=text, text=True, check=True, env={**os.environ, "PGPASSWORD": self.password})

    def login(self, folder):
        """Options for a job that reads by JDBC."""
        path = folder / "jdbc.properties"
        path.write_text(f"user=pio\npassword={self.password}\ndriver=org.postgresql.Driver\n")
        return ["--jdbc-properties", path]

    def stop(self):
        self.process.communicate()


@pytest.fixture(scope="session")
def database():
    database = Database()
    yield database
    database.stop()


@pytest.fixture(scope="session")
def search():
    from search import SearchServer

    server = SearchServer()
    yield server.ready()
    server.stop()


@pytest.fixture(scope="session", params=VERSIONS)
def spark(request):
    return Spark(request.param)


@pytest.fixture(scope="session")
def usual():
    """The Spark for tests that need only one."""
    return Spark(CLUSTERS[0])


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


@pytest.fixture(scope="session", params=CLUSTERS)
def cluster(request, tmp_path_factory):
    cluster = Cluster(Spark(request.param), tmp_path_factory.mktemp("cluster") / request.param)
    yield cluster
    cluster.stop()
