"""The program in the topologies of deploy/: files as they are there, addresses of this machine in the place of theirs."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from parts import ROOT, until

STARTED = []
"""Servers of all tests."""
ARBLAST = os.environ.get("ARBLAST", str(ROOT / "target/debug/arblast"))


def text_of(name, places):
    """A file of deploy/, with other words in the place of some."""
    text = (ROOT / "deploy" / name).read_text()
    for theirs, ours in places.items():
        assert theirs in text, f"{name} has no {theirs}"
        text = text.replace(theirs, str(ours))
    return text


class Machine:
    """A home of its own, and the programs that run on it."""

    def __init__(self, folder, shop=None, **environment):
        self.home, self.log = folder / "home", folder / "log"
        self.home.mkdir(parents=True)
        self.shop = shop
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ARBLAST_", "PIO_", "DATABASE_URL"))}
        self.environment = inherited | {"ARBLAST_HOME": str(self.home)} | {name: str(value) for name, value in environment.items()}
        self.processes = {}

    def run(self, *words, code=0):
        done = subprocess.run([ARBLAST, *map(str, words)], cwd=self.shop, env=self.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, name, port, *words, command=(ARBLAST,), cwd=None):
        """A server that answers on the port; `name` to kill it by."""
        with open(self.log, "a") as log:
            process = subprocess.Popen([*command, *map(str, words)], cwd=cwd or self.shop, env=self.environment, stdout=log, stderr=log)
        self.processes[name] = process
        STARTED.append(process)

        def is_ready():
            assert process.poll() is None, f"{name} ended: {self.log.read_text()[-3000:]}"
            return status(port, "GET", "/health") == 200

        until(name, is_ready)
        return process

    def kill(self, name):
        self.processes.pop(name).kill()

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(timeout=60)


def ask(port, method, path, body=None, timeout=30):
    """Status, and the JSON of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text
    finally:
        connection.close()


def status(port, method, path):
    try:
        return ask(port, method, path)[0]
    except OSError:
        return None


class Clients:
    """Ask and post all the time, and try again what fails, at the next front: how often that was once, and what failed twice."""

    def __init__(self, fronts, key):
        self.fronts, self.key = fronts, key
        self.front = 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.acknowledged, self.retried, self.failed, self.answers = [], [], [], 0
        self.threads = [threading.Thread(target=self.post, args=(number,)) for number in range(2)]
        self.threads += [threading.Thread(target=self.query) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def tried(self, what, path, body, good):
        for attempt in range(2):
            front = self.front
            try:
                got = ask(self.fronts[front][what], "POST", path, body, timeout=60)
            except (OSError, http.client.HTTPException) as error:
                got = (type(error).__name__, str(error))
            if got[0] == good:
                return True
            with self.lock:
                (self.retried if attempt == 0 else self.failed).append((path.split("?")[0], got))
                if self.front == front:
                    self.front = (front + 1) % len(self.fronts)
            # As `Retry-After` says.
            time.sleep(1)
        return False

    def post(self, number):
        count = 0
        while not self.stopped.is_set():
            count += 1
            name = f"posted-{number}-{count}"
            body = {"eventId": name, "event": "buy", "entityType": "user", "entityId": name, "targetEntityType": "item", "targetEntityId": "tea"}
            if self.tried("events", f"/events.json?accessKey={self.key}", body, 201):
                self.acknowledged.append(name)
            time.sleep(0.01)

    def query(self):
        while not self.stopped.is_set():
            if self.tried("queries", "/queries.json", {"user": "maya", "num": 4}, 200):
                self.answers += 1
            time.sleep(0.01)

    def progress(self, more=20):
        """Waits until everybody got on."""
        events, answers = len(self.acknowledged) + more, self.answers + more
        until("the next answer", lambda: len(self.acknowledged) >= events and self.answers >= answers, 60)

    def lose(self, what, kill):
        """Kills something while they go on: nobody may fail twice."""
        self.progress()
        kill()
        self.progress()
        assert self.failed == [], what

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left():
    """Of tests that fail, too."""
    yield
    for process in STARTED:
        process.kill()


class Parts:
    """What ends with the test, the last first."""

    def __init__(self):
        self.started = []

    def add(self, part):
        self.started.append(part)
        return part

    def stop(self):
        while self.started:
            self.started.pop().stop()


@pytest.fixture
def parts():
    parts = Parts()
    yield parts
    parts.stop()


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The sample shop: events.jsonl and engine.json."""
    folder = tmp_path_factory.mktemp("shop")
    subprocess.run([ARBLAST, "sample", "shop"], cwd=folder, check=True, capture_output=True)
    return folder / "shop"


def names_stored(port, key, prefix="posted-"):
    """Entities of all stored events whose name begins so, as often as they are there."""
    code, found = ask(port, "GET", f"/events.json?accessKey={key}&limit=-1&entityType=user", timeout=120)
    assert code == 200, found
    return sorted(event["entityId"] for event in found if event["entityId"].startswith(prefix))
