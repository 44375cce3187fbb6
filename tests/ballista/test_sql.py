"""What SQL clients ask for, counted by the executors of a cluster."""

import json

import pyarrow.flight as flight
import pytest

from conftest import Process

QUERY = """SELECT item_id, place, correlator_id, llr FROM cross_occurrence(
  (SELECT indicator, user_id, item_id FROM interactions WHERE indicator IN ('purchase', 'view')),
  '{"indicators": ["purchase", "view"]}') WHERE indicator = 'view' ORDER BY item_id, place"""


@pytest.fixture
def serve(shop, tmp_path):
    """Starts a Flight server of the shop; gives a client, how to call it, and the server."""
    servers = []
    shop.arblast("accesskey", "new", "shop", "--key", "the-key", check=False)

    def start(*words):
        server = Process(shop.folder, f"serve{len(servers)}-{tmp_path.name}", "serve", "--port", 0, "--scratch", tmp_path / "scratch", *words)
        servers.append(server)
        location = server.says(r"Flight SQL is live at (grpc\S*://[\w.:]+\w)")[1]
        return flight.connect(location), flight.FlightCallOptions(timeout=120, headers=[(b"authorization", b"Bearer the-key")]), server

    yield start
    for server in servers:
        server.stop()


def rows(client, options, sql):
    """A statement of Flight SQL without its driver: CommandStatementQuery in an Any."""
    def field(tag, payload):
        size, length = b"", len(payload)
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([tag]) + size + bytes([length]) + payload

    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    message = field(0x0A, kind) + field(0x12, field(0x0A, sql.encode()))
    info = client.get_flight_info(flight.FlightDescriptor.for_command(message), options)
    return client.do_get(info.endpoints[0].ticket, options).read_all()


@pytest.mark.parametrize("where", ["executors", "parts", "driver", "auto"])
def test_a_query_is_counted_elsewhere(cluster, shop, serve, where, tmp_path):
    client, options, server = serve("--scheduler", cluster.address, "--count", where)
    found = rows(client, options, QUERY)
    expected = [json.loads(line) for line in shop.arblast("flight", "query", QUERY, "--format", "json").stdout.splitlines()]
    assert found.to_pylist() == expected and expected
    if where in ("executors", "parts"):
        server.says("2 executors count")
    assert ("executors count" in server.log.read_text()) == (where in ("executors", "parts"))
    assert not list((tmp_path / "scratch").glob("job-*"))


def test_a_train_by_action_is_counted_elsewhere(cluster, shop, serve):
    client, options, server = serve("--scheduler", cluster.address, "--count", "executors")
    before = rows(client, options, "SELECT correlators FROM models WHERE current")["correlators"].to_pylist()
    jobs = [json.loads(result.body.to_pybytes()) for result in client.do_action(flight.Action("train", b'{"batch": "elsewhere"}'), options)]
    assert jobs[-1]["status"] == "successful", jobs
    after = rows(client, options, "SELECT i.batch, m.correlators FROM models m JOIN engine_instances i ON i.id = m.engine_instance WHERE m.current").to_pylist()
    assert after == [{"batch": "elsewhere", "correlators": before[0]}]
    server.says(r"2 executors count \d+ pairs")


def test_a_cluster_that_is_gone_is_told(shop, serve):
    client, options, server = serve("--scheduler", "127.0.0.1:9", "--count", "executors")
    with pytest.raises(flight.FlightUnavailableError, match="not available"):
        rows(client, options, QUERY)
    server.says("cannot reach the scheduler at 127.0.0.1:9")
    assert rows(client, options, "SELECT 1 AS one")["one"].to_pylist() == [1]
