"""A shop with a trained model, and both servers on free ports."""

import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARBLAST = os.environ.get("ARBLAST", str(ROOT / "target/debug/arblast"))


@dataclass
class Shop:
    home: Path
    """The engine's directory."""
    engine: Path
    access_key: str

    def arblast(self, *words, cwd=None):
        """Runs a command and gives what it printed."""
        done = subprocess.run([ARBLAST, *words], cwd=cwd or self.engine, env=self.environment(), capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def environment(self):
        return {**os.environ, "ARBLAST_HOME": str(self.home)}


class Server:
    """A process that says where it listens."""

    def __init__(self, shop, *words):
        self.process = subprocess.Popen(
            [ARBLAST, *words, "--ip", "127.0.0.1", "--port", "0"],
            cwd=shop.engine, env=shop.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.log = []
        self.url = None
        while self.url is None:
            line = self.process.stdout.readline()
            assert line, f"{words} ended: {''.join(self.log)}"
            self.log.append(line)
            found = re.search(r"API is live at (https?://[\w.:]+\w)", line)
            self.url = found and found.group(1)
        threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True).start()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=120) == 0, "".join(self.log)


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


def served(shop, *words):
    server = Server(shop, *words)
    yield server.url
    server.stop()
    log = "".join(server.log)
    assert "panicked" not in log, log
    assert shop.access_key not in log, "an access key is in the log"


@pytest.fixture(scope="session")
def event_server(shop):
    yield from served(shop, "eventserver", "--stats")


@pytest.fixture(scope="session")
def query_server(shop):
    yield from served(shop, "deploy")
