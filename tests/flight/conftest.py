"""A shop with a trained model, and Flight servers on free ports."""

import json
import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_flightsql.dbapi as flight_sql
import pyarrow.flight as flight
import pyarrow.ipc
import pytest

ROOT = Path(__file__).resolve().parents[2]
ARBLAST = os.environ.get("ARBLAST", str(ROOT / "target/debug/arblast"))
JDBC_JAR = os.environ["JDBC_JAR"]
SERVER_KEY = "the-key-of-the-server"


@dataclass
class Shop:
    home: Path
    """The engine's directory."""
    engine: Path
    access_key: str

    def arblast(self, *words, cwd=None, check=True):
        """Runs a command and gives what it printed."""
        done = subprocess.run([ARBLAST, *words], cwd=cwd or self.engine, env=self.environment(), capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout if check else done

    def environment(self):
        return {**os.environ, "ARBLAST_HOME": str(self.home)}

    def in_process(self, sql):
        """The result of a statement without server and network, as a table."""
        done = subprocess.run([ARBLAST, "flight", "query", "--format", "arrow", sql], cwd=self.engine, env=self.environment(), capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode()
        return pyarrow.ipc.open_stream(done.stdout).read_all()

    def copy(self, folder):
        """The same shop, where a test may change what it likes."""
        shutil.copytree(self.home, folder / "home")
        shutil.copytree(self.engine, folder / "shop")
        return Shop(home=folder / "home", engine=folder / "shop", access_key=self.access_key)


class Server:
    """A Flight server that says where it listens."""

    def __init__(self, shop, *words):
        self.shop = shop
        self.process = subprocess.Popen(
            [ARBLAST, "flight", "serve", "--port", "0", *words],
            cwd=shop.engine, env=shop.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.log = []
        self.location = None
        while self.location is None:
            line = self.process.stdout.readline()
            assert line, f"{words} ended: {''.join(self.log)}"
            self.log.append(line)
            found = re.search(r"Flight SQL is live at (grpc\S*://[\w.:]+\w)", line)
            self.location = found and found.group(1)
        threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True).start()

    @property
    def port(self):
        return int(self.location.rsplit(":", 1)[1])

    def connect(self, key=None, **options):
        return flight_sql.connect(self.location, {"username": "me", "password": key or self.shop.access_key, **options})

    def client(self, key=None, **more):
        """A client of Arrow Flight with the options of its calls."""
        return flight.connect(self.location, **more), self.options(key)

    def options(self, key=None, **headers):
        pairs = {"authorization": f"Bearer {key or self.shop.access_key}", **headers}
        return flight.FlightCallOptions(timeout=120, headers=[(name.encode(), value.encode()) for name, value in pairs.items()])

    def query(self, sql, parameters=None, key=None, **options):
        with self.connect(key, **options) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetch_arrow_table()

    def action(self, name, body=None, key=None, **headers):
        client, _ = self.client()
        action = flight.Action(name, json.dumps(body or {}).encode())
        return [json.loads(result.body.to_pybytes()) for result in client.do_action(action, self.options(key, **headers))]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() == -9:
            return
        self.process.terminate()
        assert self.process.wait(timeout=120) == 0, "".join(self.log)
        log = "".join(self.log)
        assert "panicked" not in log and "defect" not in log, log
        assert self.shop.access_key not in log and SERVER_KEY not in log, "a key is in the log"


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    shop = Shop(home=folder / "home", engine=folder / "shop", access_key="")
    shop.arblast("sample", "shop", cwd=folder)
    created = shop.arblast("app", "new", "shop")
    shop.access_key = re.search(r"Access Key: (\S+)", created).group(1)
    shop.arblast("import", "--app", "shop", "--input", "events.jsonl")
    shop.arblast("train")
    return shop


@pytest.fixture(scope="session")
def server(shop, tmp_path_factory):
    """Only reads; tests that change something take a shop of their own."""
    server = Server(shop, "--export-directory", str(tmp_path_factory.mktemp("exports")))
    yield server
    server.stop()


@pytest.fixture
def own(shop, tmp_path):
    """Starts servers of a shop that belongs to the test, as often as it likes."""
    copy, servers = shop.copy(tmp_path), []

    def start(*words):
        servers.append(Server(copy, *words))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


