"""A shop with events, and what the program itself makes of them."""

import json
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARBLAST = os.environ["ARBLAST"]
NOW = "2026-11-01T00:00:00Z"


@dataclass
class Engine:
    """A folder with engine.json, and a home."""

    folder: Path
    home: Path

    def arblast(self, *words):
        """Runs a command and gives what it printed."""
        environment = {**os.environ, "ARBLAST_HOME": str(self.home)}
        done = subprocess.run([ARBLAST, *map(str, words)], cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def train(self, app, *files, now=NOW):
        """Imports files into a new app, trains, gives the bytes of the model."""
        self.arblast("app", "new", app)
        for file in files:
            self.arblast("import", "--app", app, "--input", file)
        self.arblast("train", "--now", now)
        (model,) = self.home.glob("models/*/0000000001/model.arblast")
        return model.read_bytes()


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The sample shop, trained by the program. `shop.model`: its model file's bytes."""
    folder = tmp_path_factory.mktemp("shop")
    shop = Engine(folder / "shop", folder / "home")
    subprocess.run([ARBLAST, "sample", shop.folder], check=True, capture_output=True)
    shop.model = shop.train("shop", "events.jsonl")
    shop.events = [json.loads(line) for line in (shop.folder / "events.jsonl").read_text().splitlines()]
    return shop


@pytest.fixture
def new_engine(tmp_path):
    """Makes an engine with these indicators in a folder of its own."""
    def make(name, *indicators, **params):
        folder = tmp_path / name
        folder.mkdir()
        engine = {
            "id": "default", "engineFactory": "com.actionml.RecommendationEngine", "datasource": {"params": {"appName": name}},
            "algorithms": [{"name": "ur", "params": {"appName": name, "indexName": name, "eventNames": list(indicators), **params}}],
        }
        (folder / "engine.json").write_text(json.dumps(engine))
        return Engine(folder, tmp_path / f"{name}-home")
    return make


def interactions(seed=1, users=300, items=40, number=6000):
    """(user, item) pairs with tastes, some of them repeated."""
    chance = random.Random(seed)
    pairs = []
    for _ in range(number):
        user = chance.randrange(users)
        item = (user % 4 * items // 4 + int(chance.random() ** 2 * items / 3)) % items if chance.random() < 0.8 else chance.randrange(items)
        pairs.append((f"u{user}", f"i{item}"))
    return pairs


@pytest.fixture(scope="session")
def pairs():
    """Purchases and views as lists of columns."""
    def columns(rows):
        return {"user": [user for user, _ in rows], "item": [item for _, item in rows]}
    return {"purchase": columns(interactions(1, number=2500)), "view": columns(interactions(2, items=60, number=9000))}


def similarity(folder, indicators, *words):
    """What `arblast itemsimilarity` makes of columns by indicator: {indicator: [(item, correlator, llr)]}."""
    folder.mkdir(exist_ok=True)
    given = []
    for name, columns in indicators.items():
        file = folder / f"{name}.csv"
        file.write_text("".join(f"{user},{item}\n" for user, item in zip(columns["user"], columns["item"])))
        given += ["--indicator", f"{name}={file}"]
    output = folder / "similar.jsonl"
    subprocess.run([ARBLAST, "itemsimilarity", *given, "--output", output, *words], check=True, capture_output=True)
    found = {name: [] for name in indicators}
    for line in output.read_text().splitlines():
        row = json.loads(line)
        found[row["indicator"]] += [(row["item"], thing, llr) for thing, llr in row["correlators"]]
    return found


def rows(table):
    """The rows of a result."""
    columns = table.to_pydict()
    return list(zip(columns["item"], columns["correlator"], columns["llr"]))
