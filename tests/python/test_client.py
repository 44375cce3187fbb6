"""The clients: PredictionIO's SDK and ours pass the same tests, and ours a few more."""

import importlib.util
import re
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path

import arblast
import arblast.client
import pytest

from conftest import ARBLAST, ROOT

sys.modules["predictionio"] = arblast.client


def loaded(name):
    """A file of tests/clients as a module of its own name."""
    path = ROOT / "tests/clients" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"clients_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


clients = loaded("conftest")
event_server, query_server = clients.event_server, clients.query_server
sdk = loaded("test_sdk")
events = sdk.events
globals().update({name: test for name, test in vars(sdk).items() if name.startswith("test_")})


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    shop = clients.Shop(home=folder / "home", engine=folder / "shop", access_key="")
    shop.arblast("sample", "shop", cwd=folder)
    shop.access_key = re.search(r"Access Key: (\S+)", shop.arblast("app", "new", "shop")).group(1)
    shop.arblast("import", "--app", "shop", "--input", "events.jsonl")
    shop.arblast("train")
    return shop


def test_all_of_the_sdk_was_tried():
    assert sum(name.startswith("test_") for name in globals()) > 10 and sdk.predictionio is arblast.client


def test_batches(events):
    sent = [{"event": "view", "entityType": "user", "entityId": "batch", "targetEntityType": "item", "targetEntityId": f"i{n}"} for n in range(3)]
    results = events.create_events([*sent, {"event": "view"}])
    assert [one["status"] for one in results] == [201, 201, 201, 400]
    assert len(events.get_events(entityType="user", entityId="batch")) == 3


def test_many_threads_share_a_client(shop, event_server):
    with arblast.EventClient(access_key=shop.access_key, url=event_server, threads=3, qsize=5) as client:
        def work(number):
            for n in range(20):
                client.record_user_action_on_item("view", f"shared-{number}", f"i{n}")
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert client.pending_requests() == 0
        for number in range(6):
            assert len(client.get_events(entityType="user", entityId=f"shared-{number}", limit=-1)) == 20


def test_closing_waits(shop, event_server):
    client = arblast.EventClient(access_key=shop.access_key, url=event_server)
    requests = [client.arecord_user_action_on_item("view", "closing", f"i{n}") for n in range(50)]
    client.close()
    assert all(request.get_response().status == 201 for request in requests)
    with pytest.raises(arblast.client.PredictionIOAPIError, match="closed"):
        client.get_status()


def test_a_server_that_is_not_there_and_keys_that_stay_secret(shop, event_server):
    gone = arblast.EventClient(access_key="a-secret-key", url="http://127.0.0.1:9", timeout=2)
    with pytest.raises(arblast.client.NotCreatedError) as caught:
        gone.set_user("u")
    assert "a-secret-key" not in str(caught.value) and "refused" in str(caught.value)
    with pytest.raises(arblast.client.NotCreatedError) as caught:
        arblast.EventClient(access_key="a-secret-key", url=event_server).set_user("u")
    assert "a-secret-key" not in str(caught.value) and "401" in str(caught.value)
    for url in ("localhost:7070", "ftp://x", "http://"):
        with pytest.raises(arblast.client.InvalidArgumentError):
            arblast.EventClient(access_key="k", url=url)


def test_times_need_a_zone(events):
    for wrong in (datetime(2026, 1, 1), "2026-01-01"):
        with pytest.raises(AttributeError):
            events.set_user("u", event_time=wrong)
    sent = events.set_item("i", {"a": 1}, datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert events.get_event(sent.json_body["eventId"])["eventTime"] == "2026-01-01T00:00:00.000Z"


def test_a_file_for_import(shop, tmp_path):
    exporter = arblast.client.FileExporter(str(tmp_path / "events.jsonl"))
    exporter.create_event("view", "user", "filed", "item", "i", {"ü": 1}, datetime(2026, 1, 1, tzinfo=timezone.utc))
    exporter.create_event("$set", "item", "i", properties={"a": [1]})
    exporter.close()
    assert "2 events" in subprocess.run([ARBLAST, "import", "--app", "shop", "--input", tmp_path / "events.jsonl"], env=shop.environment(),
                                        capture_output=True, text=True, check=True).stdout.replace(",", "")
    model = arblast.train(tmp_path / "events.jsonl", indicators=["view"])
    assert Path(tmp_path / "events.jsonl").read_text().count("\n") == 2 and "i" in model


def test_flight_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_flightsql", None)
    with pytest.raises(ImportError, match=r"pip install 'arblast\[flight\]'"):
        arblast.connect("localhost:8815")


def test_flight_reaches_for_the_server():
    import adbc_driver_manager

    with pytest.raises(adbc_driver_manager.Error, match="(?i)connect|unavailable"):
        with arblast.connect("127.0.0.1:9", token="a key", **{"adbc.flight.sql.rpc.timeout_seconds.query": "2"}) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
