"""deploy/platform: a Procfile, a database, 512 MB."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ARBLAST, Machine, ask, names_stored
from parts import Database, ROOT, free_port, until

KEY = "key-of-the-platform"
MIB = 1 << 20


@pytest.fixture
def database(parts):
    return parts.add(Database("postgresql", "tls"))


class Slug(Machine):
    """The repository of an engine, as the platform unpacks it: any number of times."""

    def __init__(self, folder, shop, database, **environment):
        self.folder = folder / "slug"
        shutil.copytree(ROOT / "deploy/platform", self.folder)
        (self.folder / "bin/arblast").symlink_to(ARBLAST)
        shutil.copy(shop / "engine.json", self.folder)
        (self.folder / "data").mkdir()
        url = f"postgres://pio:pio%3Asecret@{database.place}"
        super().__init__(folder, self.folder, DATABASE_URL=url, PIO_EVENTSERVER_APP_NAME="shop", PIO_EVENTSERVER_ACCESS_KEY=KEY, **environment)
        del self.environment["ARBLAST_HOME"]
        self.peak = 0

    def process(self, name, code=0, **environment):
        """Runs what the Procfile says, to its end."""
        output = self.folder / f"{name}.log"
        with output.open("w") as log:
            command = ["sh", "-c", self.command(name)]
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment | environment, stdout=log, stderr=log)
            _, status, used = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == code, output.read_text()
        self.peak = max(self.peak, used.ru_maxrss * 1024)
        return output.read_text()

    def command(self, name):
        lines = (self.folder / "Procfile").read_text().splitlines()
        return dict(line.split(": ", 1) for line in lines)[name]

    def web(self, **environment):
        port = free_port()
        self.environment |= {"PORT": str(port)} | environment
        process = self.start("web", port, command=("sh", "-c", f"exec {self.command('web')}"))
        return port, process


def peak(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_release_and_web(database, shop, tmp_path):
    slug = Slug(tmp_path / "one", shop, database)
    told = slug.process("release", code=1)
    assert "shop" in told and "does not exist" in told, "nothing to load, and no app: the old release stays"
    shutil.copy(shop / "events.jsonl", slug.folder / "data/initial-events.json")
    told = slug.process("release", PIO_EVENTSERVER_ACCESS_KEY="")
    assert "PIO_EVENTSERVER_ACCESS_KEY is not set" in told and "no train" in told
    assert "no train on release" in slug.process("release", PIO_TRAIN_ON_RELEASE="false")
    told = slug.process("release")
    assert "importing data/initial-events.json" in told and "Training completed" in told, told
    # Another machine answers: the model is in the database.
    web = Slug(tmp_path / "two", shop, database)
    port, process = web.web()
    code, answer = ask(port, "POST", "/queries.json", {"user": "maya", "num": 4})
    assert code == 200 and len(answer["itemScores"]) == 4, answer
    body = {"event": "buy", "entityType": "user", "entityId": "posted-1", "targetEntityType": "item", "targetEntityId": "tea"}
    assert ask(port, "POST", f"/events.json?accessKey={KEY}", body)[0] == 201
    told = slug.process("train", PIO_TRAIN_SPARK_OPTS="--driver-memory 400m")
    assert "generation 2" in told, told
    # Later releases bring what is new.
    (slug.folder / "data/sync-events.json").write_text(json.dumps(body | {"entityId": "posted-2"}) + "\n")
    slug.process("release", PIO_TRAIN_ON_RELEASE="true")
    assert names_stored(port, KEY) == ["posted-1", "posted-2"]
    told = slug.process("release", code=1, PIO_PURGE_EVENTS_ON_SYNC="true")
    assert names_stored(port, KEY) == ["posted-2"], "the app was emptied first"
    assert "The first name in eventNames" in told, "one event makes no model"
    assert ask(port, "POST", "/queries.json", {"user": "maya", "num": 4})[0] == 200, "the model of before serves on"
    used = {"web": peak(process), "release, train": slug.peak}
    print({name: f"{bytes / MIB:.0f} MiB" for name, bytes in used.items()})
    assert all(bytes < 512 * MIB for bytes in used.values()), used
    web.stop()


def test_event_server_and_feedback(database, shop, tmp_path):
    receives = Slug(tmp_path / "events", shop, database)
    receives.run("app", "new", "feedback", "--access-key", "feedback-key")
    events, _ = receives.web(PIO_RUN_AS_EVENTSERVER="true")
    assert ask(events, "GET", "/")[1] == {"status": "alive"}
    answers = Slug(tmp_path / "answers", shop, database)
    shutil.copy(shop / "events.jsonl", answers.folder / "data/initial-events.json")
    answers.process("release", PIO_OPTS="--variant engine.json")
    queries, _ = answers.web(
        PIO_ENABLE_FEEDBACK="true", PIO_EVENTSERVER_HOSTNAME="127.0.0.1", PIO_EVENTSERVER_PORT=str(events), PIO_EVENTSERVER_ACCESS_KEY="feedback-key", PIO_VERBOSE="true"
    )
    assert ask(queries, "POST", "/queries.json", {"user": "maya", "num": 4})[0] == 200

    def is_posted():
        return ask(events, "GET", "/events.json?accessKey=feedback-key&event=predict")[0] == 200

    until("the prediction as an event", is_posted, 30)
    answers.stop()
    receives.stop()
