"""Slow, greedy and hostile clients: limits hold, errors are typed, nobody else notices."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from conftest import ARBLAST, SERVER_KEY, Server

ENDLESS = "SELECT count(*) FROM events a CROSS JOIN events b CROSS JOIN events c"
# all rows in one order: more than fits
SORTED = "SELECT max(place) AS n FROM (SELECT row_number() OVER (ORDER BY a.event_id || b.event_id) AS place FROM events a CROSS JOIN (SELECT * FROM events LIMIT {}) b)"
QUICK = "SELECT count(*) AS n FROM items"


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def code(error):
    """The name of the code that ADBC or pyarrow tells."""
    text = str(error.value).upper().replace("_", "").replace(" ", "")
    known = ["INVALIDARGUMENT", "UNAUTHENTICATED", "PERMISSIONDENIED", "NOTFOUND", "UNAVAILABLE", "RESOURCEEXHAUSTED", "DEADLINEEXCEEDED", "INTERNAL", "UNAUTHORIZED"]
    return next((name for name in known if name in text), text)


def is_busy(server):
    """Processor seconds that the server has used."""
    fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def resident(server):
    for line in open(f"/proc/{server.process.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10


def test_an_endless_statement_ends_and_others_are_answered_meanwhile(own):
    server = own("--set", "flightQuerySecondsMax=4", "--set", "flightQueriesMax=4")
    errors = []

    def endless():
        with pytest.raises(Exception) as error:
            server.query(ENDLESS)
        errors.append(code(error))

    greedy = [threading.Thread(target=endless) for _ in range(2)]
    [thread.start() for thread in greedy]
    time.sleep(1)
    for _ in range(5):
        assert seconds(lambda: server.query(QUICK)) < 3
    took = seconds(lambda: [thread.join() for thread in greedy])
    assert errors == ["DEADLINEEXCEEDED"] * 2 and took < 30
    before = is_busy(server)
    time.sleep(1)
    assert is_busy(server) - before < 0.3, "it computes on"


def test_a_statement_ends_with_its_client(own):
    server = own("--set", "flightQueriesMax=1")
    client, options = server.client()
    connection = server.connect()
    cursor = connection.cursor()

    def endless():
        with pytest.raises(Exception):
            cursor.execute(ENDLESS)
            cursor.fetchall()

    thread = threading.Thread(target=endless, daemon=True)
    thread.start()
    time.sleep(1.5)
    used = is_busy(server)
    cursor.adbc_cancel()
    thread.join(timeout=20)
    assert used > 0
    assert seconds(lambda: server.query(QUICK)) < 8
    time.sleep(1)
    before = is_busy(server)
    time.sleep(1)
    assert is_busy(server) - before < 0.3, "it computes on"


def message(number, content):
    """A field of a protobuf message that holds bytes."""
    length, rest = b"", len(content)
    while rest > 127:
        length, rest = length + bytes([rest & 127 | 128]), rest >> 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + content


def command(name, content):
    return message(1, f"type.googleapis.com/arrow.flight.protocol.sql.{name}".encode()) + message(2, content)


@pytest.mark.parametrize("fetched", [True, False])
@pytest.mark.parametrize("action", ["CancelFlightInfo", "CancelQuery"])
def test_a_statement_is_cancelled_by_another_call(own, fetched, action):
    server = own("--set", "flightQueriesMax=1")
    server.shop.arblast("app", "new", "other", "--access-key", "key-of-other")
    client, options = server.client()
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command("CommandStatementQuery", message(1, ENDLESS.encode()))), options)
    body = message(1, info.serialize())
    order = flight.Action(action, command("ActionCancelQueryRequest", body) if action == "CancelQuery" else body)
    # in a process of its own, as pyarrow takes CANCELLED for Ctrl-C
    program = (
        "import sys, pyarrow.flight as f; location, key, ticket = sys.argv[1:]; "
        "options = f.FlightCallOptions(headers=[(b'authorization', b'Bearer ' + key.encode())]); "
        "f.connect(location).do_get(f.Ticket(bytes.fromhex(ticket)), options).read_all()"
    )
    words = [sys.executable, "-c", program, server.location, server.shop.access_key, info.endpoints[0].ticket.ticket.hex()]
    failed = []
    thread = threading.Thread(target=lambda: failed.append(subprocess.run(words, stderr=subprocess.PIPE, text=True).stderr), daemon=True)
    if fetched:
        thread.start()
        time.sleep(3)
    with pytest.raises(Exception, match="no such statement"):
        list(client.do_action(order, server.options("key-of-other")))
    (answer,) = client.do_action(order, options)
    # CANCELLED, and of CancelQuery in an Any
    assert answer.body.to_pybytes().endswith(b"\x08\x01"), answer.body.to_pybytes()
    if not fetched:
        thread.start()
    thread.join(timeout=20)
    assert ("cancelled by its client" if fetched else "no such result") in failed[0], failed
    with pytest.raises(Exception, match="no such statement"):
        list(client.do_action(order, options))
    assert seconds(lambda: server.query(QUICK)) < 8


def test_a_connection_that_is_cut_ends_its_statement(own):
    server = own("--set", "flightQueriesMax=1")
    program = f"import adbc_driver_flightsql.dbapi as d; c = d.connect('{server.location}', dict(username='me', password='{server.shop.access_key}')); c.cursor().execute(\"{ENDLESS}\").fetchall()"
    client = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    time.sleep(4)
    client.kill()
    client.wait()
    assert seconds(lambda: server.query(QUICK)) < 10
    before = is_busy(server)
    time.sleep(1)
    assert is_busy(server) - before < 0.3, "it computes on"


def test_too_many_statements_wait_then_are_refused(own):
    server = own("--set", "flightQueriesMax=1", "--set", "flightQuerySecondsMax=12")
    thread = threading.Thread(target=lambda: pytest.raises(Exception, server.query, ENDLESS), daemon=True)
    thread.start()
    time.sleep(4)
    with pytest.raises(Exception) as error:
        server.query(QUICK)
    assert code(error) == "UNAVAILABLE"
    thread.join()
    server.query(QUICK)


def test_memory_of_a_statement_is_limited(own):
    server = own("--set", "flightQueryBytesMax=20000000", "--set", "flightSpillBytesMax=0")
    for sql in [
        SORTED.format(100),
        "SELECT count(DISTINCT a.event_id || b.event_id) FROM events a CROSS JOIN (SELECT * FROM events LIMIT 100) b",
    ]:
        with pytest.raises(Exception) as error:
            server.query(sql)
        assert code(error) == "RESOURCEEXHAUSTED", error.value
    assert resident(server) < 700 << 20
    server.query(QUICK)


def nested(what, levels, of="SELECT event_id AS x FROM events"):
    for _ in range(levels):
        of = f"SELECT {what} AS x FROM ({of})"
    return of


def doubled(*words):
    """Each level makes twice of the one below."""
    return f"SELECT max(length(x)) AS n FROM ({nested(*words)}) WHERE x IS NOT NULL"


AAA = "SELECT event_id || 'aaaaaaaaaaaaaaaa' AS x FROM events"
WIDE = f"SELECT concat({', '.join(['a.event_id, b.event_id'] * 20)}) AS x FROM events a CROSS JOIN events b"
MUCH_OF_LITTLE = {
    "planning": doubled("x || x", 35),
    "planning of a constant": doubled("concat(x, x)", 35, "SELECT 'x' AS x"),
    "planning of a filter": doubled("array_to_string([x, x, x], x)", 20),
    "replace": doubled("replace(x, 'a', x)", 4, AAA),
    "replace of a constant": f"SELECT length(replace('{'x' * 100_000}', 'x', '{'y' * 100_000}'))",
    "regexp_replace": doubled("regexp_replace(x, '(.*)', '\\1\\1\\1\\1\\1\\1\\1\\1')", 12),
    "regexp_replace everywhere": doubled("regexp_replace(x, 'a', x, 'g')", 4, AAA),
    "to_char": f"SELECT max(length(to_char(event_time, '{'%c' * 300_000}'))) FROM events",
    "a join": "SELECT max(length(b.x || a.event_id)) FROM events a CROSS JOIN (SELECT string_agg(event_id, '') AS x FROM events) b",
    "a join of lists": "SELECT max(length(a.event_id)), count(b.x) FROM events a CROSS JOIN (SELECT array_agg(event_id) AS x FROM events) b WHERE cardinality(b.x) > length(a.event_id)",
    "a window": "SELECT max(length(x || event_id)) FROM (SELECT event_id, first_value(y) OVER (ORDER BY event_id) AS x FROM (SELECT event_id, string_agg(event_id, '') OVER () AS y FROM events))",
    "unnested": "SELECT max(length(x || y)) FROM (SELECT x, unnest(string_to_array(x, '0')) AS y FROM (SELECT string_agg(event_id, '') AS x FROM events))",
    "rows of a window": f"SELECT max(length(x)), max(n) FROM (SELECT x, count(*) OVER () AS n FROM ({WIDE}))",
    "rows of an ordered window": f"SELECT max(length(x)), max(n) FROM (SELECT x, sum(length(x)) OVER (ORDER BY x) AS n FROM ({WIDE} LIMIT 100000))",
    "rows far before": f"SELECT max(length(x)), max(n) FROM (SELECT x, lag(x, 5000000) OVER () AS n FROM ({WIDE}))",
    "a list of each row": "SELECT max(cardinality(x)) FROM (SELECT array_agg(event_id) OVER (ORDER BY event_id) AS x FROM events)",
    "a wide type": "SELECT arrow_cast(event_id, 'FixedSizeBinary(1000000000)') FROM events",
    "a wide list": "SELECT CAST(NULL AS INT[1000000000]) FROM events",
    "a wide type in a list": "SELECT arrow_cast(digest(event_id, 'md5'), 'ListView(FixedSizeBinary(1000000000))') FROM events",
    "a type that is computed": "SELECT 1 FROM events WHERE arrow_cast(CAST(event_id AS BYTEA), trim(' FixedSizeBinary(1000000000)')) IS NOT NULL",
    "queries of queries": "WITH c0 AS (SELECT event_id FROM events), " + ", ".join(f"c{n} AS (SELECT a.event_id FROM c{n - 1} a, c{n - 1} b)" for n in range(1, 19)) + " SELECT count(*) FROM c18",
    "tables of counted queries": "SELECT count(*) FROM " + ", ".join("cross_occurrence((SELECT a.entity_id AS user_id, a.event AS item_id FROM events a, events b, events c, events d, events e))" for _ in range(9)),
    "centroids": "SELECT approx_percentile_cont(value, 0.5, 100000000000) FROM generate_series(1, 10)",
    "centroids of a window": "SELECT approx_percentile_cont(value, 0.5, 100000000000) OVER () FROM generate_series(1, 10)",
    "patterns of a column": "SELECT count(regexp_replace(event, '\\w{40}' || event_id, '')) FROM events",
    "patterns of an operator": "SELECT count(*) FROM events WHERE event ~ ('\\w{40}' || event_id)",
    "groups of a pattern": f"SELECT regexp_match(x, '{'(' * 100}.*{')' * 100}') FROM (SELECT string_agg(event_id, '') AS x FROM events)",
    "a distance": "SELECT levenshtein(event_id, event) FROM events",
    "rows that are not NULL": f"SELECT max(length(x)), max(n) FROM (SELECT x, lag(nullif(x, x)) IGNORE NULLS OVER () AS n FROM ({WIDE}))",
    "columns of a long text": "SELECT " + ", ".join(f"translate(x, 'a', '{n}')" for n in range(300)) + " FROM (SELECT string_agg(event_id, '') AS x FROM events)",
    "elements of a row": "SELECT max(a), count(y) FROM (SELECT a, unnest(l) AS y FROM (SELECT string_agg('x', '') FILTER (WHERE value < 3000) AS a, array_agg(true) AS l FROM generate_series(1, 400000)))",
    "a type with a dictionary": "SELECT arrow_cast(event_id, 'Dictionary(Int32, Utf8)') FROM events",
    "a lambda": "SELECT array_transform([1, 2], x -> x + 1)",
    "constants": "SELECT " + ", ".join(f"replace(repeat_{n}, 'x', '{'y' * 1000}')" for n in range(40)) + " FROM (SELECT " + ", ".join(f"'{'x' * 900}{n}' AS repeat_{n}" for n in range(40)) + ")",
}

# Fewer rows at a time suffice.
MUCH_OF_FEW_ROWS = {
    "operator": doubled("x || x", 12),
    "concat": doubled("concat(x, x)", 11),
    "concat_ws": doubled("concat_ws(x, x, x)", 7),
    "array_to_string": doubled("array_to_string([x, x, x], x)", 5),
    "arrays": f"SELECT max(cardinality(x)) FROM ({nested('[x, x]', 10)})",
    "array_concat": f"SELECT max(cardinality(x)) FROM ({nested('array_concat(x, x)', 10, 'SELECT [event_id] AS x FROM events')})",
}


@pytest.fixture(scope="module")
def narrow(shop, tmp_path_factory):
    server = Server(shop.copy(tmp_path_factory.mktemp("narrow")), "--set", "flightQueryBytesMax=60000000", "--set", "flightQuerySecondsMax=60")
    yield server
    server.stop()


@pytest.mark.parametrize("what", MUCH_OF_LITTLE)
def test_what_makes_much_of_little_is_limited(narrow, what):
    with pytest.raises(Exception) as error:
        narrow.query(MUCH_OF_LITTLE[what])
    assert code(error) in ("RESOURCEEXHAUSTED", "INVALIDARGUMENT"), error.value
    assert resident(narrow) < 900 << 20
    narrow.query(QUICK)


@pytest.mark.parametrize("what", MUCH_OF_FEW_ROWS)
def test_what_makes_much_of_few_rows_is_done(narrow, what):
    narrow.query(MUCH_OF_FEW_ROWS[what])
    assert resident(narrow) < 900 << 20


def test_long_constants_and_wide_rows_are_no_mistake(narrow):
    long = "x" * 900_000
    texts = narrow.query(f"SELECT '{long}' || event AS x FROM events WHERE event = 'view' LIMIT 20")["x"].to_pylist()
    assert texts == [long + "view"] * 20
    events = narrow.query("SELECT count(*) AS n FROM events")["n"][0].as_py()
    for sql in [
        "SELECT count(*) AS n FROM (SELECT replace(event, 'view', 'a view') || ':' || entity_id AS x FROM events) WHERE length(x) > 3",
        "SELECT count(regexp_replace(entity_id, '[0-9]', '<\\0>', 'g')) AS n FROM events",
        "SELECT count(p) AS n FROM (SELECT row_number() OVER (ORDER BY event_id) AS p, lag(event_id) OVER (ORDER BY event_id) AS q FROM events)",
        "SELECT CAST(sum(m) AS BIGINT) AS n FROM (SELECT DISTINCT entity_id, count(*) OVER (PARTITION BY entity_id) AS m FROM events)",
        "SELECT count(*) AS n FROM events WHERE event NOT IN (" + ", ".join(f"'{n}'" for n in range(30_000)) + ")",
        "SELECT count(properties) + count(*) - count(properties) AS n FROM events WHERE event_time > (SELECT min(event_time) - INTERVAL '1 day' FROM events)",
        "SELECT count(*) AS n FROM (SELECT unnest(['a', 'b']) AS x, event_id FROM events) WHERE x = 'a'",
        "SELECT count(*) AS n FROM events WHERE event ~ '^[a-z]' OR event ~ '^[$]'",
        "SELECT count(*) AS n FROM events a JOIN (SELECT DISTINCT event_id, properties FROM events) b ON a.event_id = b.event_id",
    ]:
        assert narrow.query(sql)["n"][0].as_py() == events, sql


def test_what_is_too_large_for_memory_goes_to_disk(own):
    server = own("--set", "flightQueryBytesMax=20000000")
    table = server.query(SORTED.format(20))
    assert table["n"][0].as_py() == 20 * server.query("SELECT count(*) AS n FROM events")["n"][0].as_py()
    assert not any((server.shop.home / "flight-spill").rglob("*.arrow")), "temporary files are left"


def test_rows_are_limited(own):
    server = own("--set", "flightRowsMax=1000")
    assert server.query("SELECT event_id FROM events LIMIT 1000").num_rows == 1000
    with pytest.raises(Exception) as error:
        server.query("SELECT event_id FROM events")
    assert code(error) == "RESOURCEEXHAUSTED"


@pytest.mark.parametrize("sql", [
    "SELECT " + "+".join(["1"] * 30000),
    "SELECT " + "(" * 2000 + "1" + ")" * 2000,
    "SELECT 1 WHERE 1 IN (" + ",".join(["1"] * 100000) + ")",
    "SELECT 'x" + "y" * 3_000_000 + "'",
    " UNION ALL ".join(["SELECT 1"] * 2000),
    "SELECT * FROM (" * 400 + "SELECT 1" + ")" * 400,
    "SELECT x FROM (" * 30 + "SELECT 'a' AS x" + ")" * 30,
])
def test_monstrous_statements_do_no_harm(server, sql):
    try:
        server.query(sql)
    except Exception as error:
        assert "INTERNAL" not in str(error).upper(), error
    server.query(QUICK)


def test_keys(own):
    server = own("--set", f"serverKey={SERVER_KEY}")
    for key in ["wrong", "x" * 5000, "a:b", "ä"]:
        with pytest.raises(Exception) as error:
            server.query(QUICK, key=key)
        assert code(error) in ("UNAUTHENTICATED", "UNAUTHORIZED"), error.value
    client = flight.connect(server.location)
    for headers in [[], [(b"authorization", b"Bearer")], [(b"authorization", b"Negotiate x")], [(b"authorization", b"Basic !!")]]:
        with pytest.raises(flight.FlightUnauthenticatedError):
            list(client.do_action(flight.Action("recommend", b""), flight.FlightCallOptions(headers=headers)))
    # scopes
    shop = server.shop
    shop.arblast("accesskey", "new", "shop", "--key", "only-write", "--scope", "write")
    shop.arblast("accesskey", "new", "shop", "view", "--key", "only-views", "--scope", "write")
    shop.arblast("accesskey", "new", "shop", "--key", "only-read", "--scope", "read")
    with pytest.raises(Exception) as error:
        server.query(QUICK, key="only-write")
    assert "may not read" in str(error.value)
    server.query(QUICK, key="only-read")
    rows = pa.table({"event": ["view", "purchase"], "entity_type": ["user"] * 2, "entity_id": ["u"] * 2, "target_entity_type": ["item"] * 2, "target_entity_id": ["i"] * 2})
    assert put(server, rows, "only-views") == [{"stored": 1, "refused": 1, "errors": [{"row": 1, "message": "purchase events are not allowed"}], "errorsLeftOff": 0}]
    with pytest.raises(flight.FlightUnauthorizedError):
        put(server, rows, "only-read")
    # an app sees its own
    shop.arblast("app", "new", "other", "--access-key", "key-of-other")
    assert server.query("SELECT count(*) AS n FROM events", key="key-of-other")["n"][0].as_py() == 0
    assert server.query("SELECT count(DISTINCT app) AS n FROM events", key=SERVER_KEY)["n"][0].as_py() == 1
    with pytest.raises(Exception, match="shop/shop"):
        server.action("recommend", {"engine": "nothing"}, key=SERVER_KEY)
    # who may control
    with pytest.raises(flight.FlightUnauthorizedError):
        server.action("rollback")
    with pytest.raises(Exception):
        server.action("rollback", {"generation": 99}, key=SERVER_KEY)


def put(server, rows, key=None, **headers):
    client, _ = server.client()
    writer, reader = client.do_put(flight.FlightDescriptor.for_path("events"), rows.schema, server.options(key, **headers))
    answers = []
    with writer:
        for batch in rows.to_batches():
            writer.write_batch(batch)
            answer = reader.read()
            if answer is None:
                break  # closing tells why
            answers.append(json.loads(answer.to_pybytes()))
        writer.done_writing()
    return answers


def test_events_in(own):
    server = own()
    before = server.query("SELECT count(*) AS n FROM events")["n"][0].as_py()
    as_json = pa.table({"json": ['{"event":"view","entityType":"user","entityId":"j","targetEntityType":"item","targetEntityId":"i","properties":{"a":1}}', "{", None]})
    (answer,) = put(server, as_json)
    assert answer["stored"] == 1 and [error["row"] for error in answer["errors"]] == [1, 2]
    rows = pa.table({"eventId": ["x1", "x1"], "event": ["view"] * 2, "entityType": ["user"] * 2, "entityId": [7, 8], "eventTime": [pa.scalar(0, pa.timestamp("us")), pa.scalar(1, pa.timestamp("us"))]})
    assert put(server, rows)[0]["stored"] == 2
    found = server.query("SELECT entity_id, event_time, target_entity_id FROM events WHERE event_id = 'x1'").to_pylist()
    assert [row["entity_id"] for row in found] == ["8"] and found[0]["target_entity_id"] is None
    with pytest.raises(Exception, match="no column of events|INVALID"):
        put(server, pa.table({"evnt": ["view"]}))
    with pytest.raises(Exception, match="row 1 of its batch"):
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("events", pa.table({"event": ["view", ""], "entity_type": ["user"] * 2, "entity_id": ["a"] * 2}), mode="append")
    with pytest.raises(Exception):
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.adbc_ingest("items", pa.table({"event": ["view"]}), mode="append")
    server.shop.arblast("app", "channel-new", "shop", "web")
    assert put(server, as_json.slice(0, 1), **{"arblast-channel": "web"})[0]["stored"] == 1
    assert server.query("SELECT channel, count(*) AS n FROM events WHERE channel = 'web' GROUP BY channel").to_pylist() == [{"channel": "web", "n": 1}]
    assert server.query("SELECT count(*) AS n FROM events WHERE channel IS NULL")["n"][0].as_py() == before + 2
    # all of it is there after a crash
    server.kill()
    assert server.shop.in_process("SELECT count(*) AS n FROM events")["n"][0].as_py() == before + 3


def test_a_huge_put_needs_little_memory(own):
    server = own()
    server.query(QUICK)
    before = resident(server)
    rows = pa.table({"event": ["view"] * 20_000, "entity_type": ["user"] * 20_000, "entity_id": [f"u{n}" for n in range(20_000)], "properties": ['{"text":"' + "x" * 400 + '"}'] * 20_000})
    answers = put(server, pa.concat_tables([rows] * 10))
    assert sum(answer["stored"] for answer in answers) == 200_000
    assert resident(server) - before < 400 << 20
    with pytest.raises(Exception):
        put(server, pa.table({"event": ["view"], "entity_type": ["user"], "entity_id": ["u"], "properties": ['{"text":"' + "x" * (40 << 20) + '"}']}))
    server.query(QUICK)


def exchange(server, rows, path="cross-occurrence", options=None):
    client, calling = server.client()
    descriptor = flight.FlightDescriptor.for_path(path, json.dumps(options or {"indicators": ["purchase"]}))
    writer, reader = client.do_exchange(descriptor, calling)
    with writer:
        writer.begin(rows.schema)
        writer.write_table(rows)
        writer.done_writing()
        return reader.read_all()


def test_own_interactions_give_the_correlators_of_itemsimilarity(server, shop, tmp_path):
    rows = server.query("SELECT indicator, user_id, item_id FROM interactions WHERE indicator IN ('purchase', 'view')")
    for name in ["purchase", "view"]:
        lines = [f"{row['user_id']},{row['item_id']}" for row in rows.to_pylist() if row["indicator"] == name]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    shop.arblast("itemsimilarity", "--indicator", f"purchase={tmp_path}/purchase.csv", "--indicator", f"view={tmp_path}/view.csv", "--output", f"{tmp_path}/out", "--max-correlators", "10")
    expected = {}
    for line in open(tmp_path / "out"):
        line = json.loads(line)
        expected[line["item"], line["indicator"]] = [tuple(pair) for pair in line["correlators"]]
    found = {}
    for row in exchange(server, rows, options={"indicators": ["purchase", "view"], "maxCorrelators": 10}).to_pylist():
        found.setdefault((row["item_id"], row["indicator"]), []).append((row["correlator_id"], row["llr"]))
    assert found == expected and found


@pytest.mark.parametrize("options, told", [
    ({"indicators": []}, "no indicator"),
    ({"indicators": ["a", "a"]}, "twice"),
    ({"maxCorrelators": 0}, "whole number from 1"),
    ({"nonsense": 1}, "no option"),
    ({"indicators": ["view"]}, "a row is of indicator"),
])
def test_wrong_exchanges_are_told(server, options, told):
    rows = pa.table({"indicator": ["purchase"], "user_id": ["u"], "item_id": ["i"]})
    with pytest.raises(Exception, match=told):
        exchange(server, rows, options=options)


def test_an_exchange_has_a_limit(own):
    server = own("--set", "flightQueryBytesMax=3000000")
    rows = pa.table({"indicator": ["purchase"] * 100_000, "user_id": [f"u{n}" for n in range(100_000)], "item_id": [f"i{n}" for n in range(100_000)]})
    with pytest.raises(Exception) as error:
        exchange(server, rows)
    assert "flightQueryBytesMax" in str(error.value)
    server.query(QUICK)


def test_trains_and_rollbacks(own):
    server = own()
    (first,) = server.query("SELECT generation FROM models WHERE current")["generation"].to_pylist()
    jobs = server.action("train", {"batch": "by flight"})
    assert jobs[-1]["status"] == "successful" and jobs[-1]["generation"] == first + 1, jobs
    row = server.query("SELECT m.generation, i.batch FROM models m JOIN engine_instances i ON i.id = m.engine_instance WHERE m.current").to_pylist()
    assert row == [{"generation": first + 1, "batch": "by flight"}]
    digests = server.query("SELECT DISTINCT digest FROM models").num_rows
    assert digests >= 1
    assert server.action("rollback") == [{"generation": first}]
    assert server.query("SELECT generation FROM models WHERE current")["generation"].to_pylist() == [first]
    (job,) = server.action("train", {"wait": False, "force": True})
    assert job["status"] == "executing"
    with pytest.raises(Exception, match="(?i)no train"):
        server.action("cancel", {"jobId": "0"})
    with pytest.raises(Exception, match="no action"):
        server.action("explode")


def test_a_train_of_another_machine_is_not_cancelled_here(own, tmp_path):
    # the registry in common, a folder of models of its own
    server = own("--set", f"modelsUrl={tmp_path / 'models'}")
    shop = server.shop
    event = '{{"event":"purchase","entityType":"user","entityId":"u{}","targetEntityType":"item","targetEntityId":"i{}"}}\n'
    (tmp_path / "many.jsonl").write_text("".join(event.format(n % 9973, n * 7 % 1613) for n in range(400_000)))
    shop.arblast("import", "--app", "shop", "--input", str(tmp_path / "many.jsonl"))
    running = "SELECT id FROM engine_instances WHERE status = 'executing'"
    with subprocess.Popen([ARBLAST, "train"], cwd=shop.engine, env=shop.environment(), stdout=subprocess.DEVNULL) as train:
        while not (found := server.query(running)["id"].to_pylist()):
            assert train.poll() is None, "it ended unseen"
        train.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(Exception, match="runs on another machine"):
                server.action("cancel", {"jobId": found[0]})
        finally:
            train.send_signal(signal.SIGCONT)
        assert train.wait(timeout=120) == 0


def test_connections_are_limited_and_silent_ones_closed(own):
    server = own("--set", "connectionsMax=20", "--set", "headerSecondsMax=2")
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    with pytest.raises(Exception) as error:
        server.query(QUICK)
    assert code(error) == "UNAVAILABLE", error.value
    time.sleep(3)
    server.query(QUICK)
    for connection in silent:
        connection.settimeout(5)
        while connection.recv(4096):
            pass
    # garbage, and HTTP/1
    for text in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000]:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(text)
            connection.settimeout(10)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    server.query(QUICK)


def test_tickets_are_of_who_got_them_and_for_once(own):
    server = own()
    server.shop.arblast("app", "new", "other", "--access-key", "key-of-other")
    client, options = server.client()
    # a statement of Flight SQL without its driver: CommandStatementQuery in an Any
    sql = QUICK.encode()
    command = b"\x0a" + bytes([len(sql)]) + sql
    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    message = b"\x0a" + bytes([len(kind)]) + kind + b"\x12" + bytes([len(command)]) + command
    ticket = client.get_flight_info(flight.FlightDescriptor.for_command(message), options).endpoints[0].ticket
    with pytest.raises(Exception, match="no such result"):
        client.do_get(ticket, server.options("key-of-other")).read_all()
    assert client.do_get(ticket, options).read_all().num_rows == 1
    with pytest.raises(Exception, match="no such result"):
        client.do_get(ticket, options).read_all()
    for wrong in [b"", b"x", b"\x0a\x03abc", message]:
        with pytest.raises(Exception):
            client.do_get(flight.Ticket(wrong), options).read_all()
    for wrong in [flight.FlightDescriptor.for_command(b"\xff"), flight.FlightDescriptor.for_path("models", "other"), flight.FlightDescriptor.for_path("models", "shop", "99"), flight.FlightDescriptor.for_path("x")]:
        with pytest.raises(Exception):
            client.get_flight_info(wrong, options)


def test_tls(own, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    server = own("--set", f"tlsCertificateFile={certificate}", "--set", f"tlsKeyFile={key}")
    assert server.location.startswith("grpc+tls://")
    assert server.query(QUICK, **{"adbc.flight.sql.client_option.tls_root_certs": certificate.read_text()}).num_rows == 1
    with pytest.raises(Exception):
        server.query(QUICK)
    context = ssl.create_default_context(cafile=certificate)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", server.port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
        assert wrapped.selected_alpn_protocol() == "h2"


def test_an_address_that_others_reach_needs_tls(shop):
    done = shop.arblast("flight", "serve", "--ip", "0.0.0.0", "--port", "0", check=False)
    assert done.returncode == 1 and "plain text" in done.stderr


def test_export_as_parquet(shop, tmp_path):
    import pyarrow.parquet as parquet
    shop.arblast("export", "--app", "shop", "--output", str(tmp_path / "out"), "--format", "parquet")
    table = parquet.read_table(tmp_path / "out")
    assert table.num_rows == shop.in_process("SELECT count(*) AS n FROM events")["n"][0].as_py()
    assert table.column_names[:4] == ["eventId", "event", "entityType", "entityId"]
    again = shop.arblast("export", "--app", "shop", "--output", str(tmp_path / "out"), "--format", "parquet", check=False)
    assert again.returncode == 1 and "exists already" in again.stderr


def test_query_without_a_server(shop):
    assert json.loads(shop.arblast("flight", "query", QUICK)) == shop.in_process(QUICK).to_pylist()[0]
    assert shop.arblast("flight", "query", QUICK, "--format", "csv").splitlines()[0] == "n"
    assert "| n" in shop.arblast("flight", "query", QUICK, "--format", "table")
    assert shop.arblast("flight", "query", "SELECT event_id AS n FROM events WHERE false", "--format", "csv") == "n\n"
    for form in ["json", "csv", "table", "arrow"]:
        piped = subprocess.run(f"set -o pipefail; '{ARBLAST}' flight query 'SELECT * FROM events' --format {form} | head -c 10", shell=True, executable="/bin/bash", cwd=shop.engine, env=shop.environment(), capture_output=True)
        assert piped.returncode == 0, (form, piped.stderr)
    done = shop.arblast("flight", "query", "SELECT nothing FROM events", check=False)
    assert done.returncode == 1 and "nothing" in done.stderr


@pytest.mark.parametrize("sql", [
    "SELECT 1" + " IS NULL" * 20_000,
    "SELECT true" + " XOR true" * 20_000,
    "SELECT * FROM cross_occurrence('SELECT 1" + "+1" * 20_000 + " AS user_id, 2 AS item_id')",
    "SELECT count(*) FROM " + ",".join(f"models m{n}" for n in range(400)),
    " UNION ALL ".join(["SELECT event_id FROM events"] * 600),
    "SELECT count(*) FROM cross_occurrence('SELECT m0.engine AS user_id, m0.engine AS item_id FROM " + ",".join(f"models m{n}" for n in range(400)) + "')",
    "SELECT count(*) FROM events GROUP BY CUBE(app, channel, event_id, event, entity_type, entity_id, target_entity_type, target_entity_id, properties)",
    "SELECT max(length(repeat(event, 200000))) FROM events",
    "SELECT max(array_length(range(1, 100000))) FROM events",
])
def test_what_would_plan_or_grow_without_end_is_refused_at_once(server, sql):
    def refused():
        with pytest.raises(Exception) as error:
            server.query(sql)
        assert code(error) == "INVALIDARGUMENT", str(error.value)[:500]

    assert seconds(refused) < 10
    server.query(QUICK)


def test_batches_that_are_more_than_they_seem_are_refused(own):
    server = own()
    many = pa.RecordBatch.from_arrays([pa.nulls(2_000_000_000)], ["event"])
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 400, pa.int8()), pa.array(["x" * (4 << 20)]))
    bombs = {"rows": pa.Table.from_batches([many]), "64 MiB": pa.table({"json": long})}
    for told, rows in bombs.items():
        with pytest.raises(Exception, match=told) as error:
            put(server, rows)
        assert code(error) == "INVALIDARGUMENT"
    with pytest.raises(Exception, match="64 MiB"):
        exchange(server, pa.table({"user_id": long, "item_id": long}))
    # packed: what it becomes is told by the client alone
    client, _ = server.client()
    packed = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {server.shop.access_key}".encode())], write_options=pa.ipc.IpcWriteOptions(compression="lz4"))
    rows = pa.table({"event": ["view"] * 1000, "entity_type": ["user"] * 1000, "entity_id": ["u"] * 1000})
    with pytest.raises(Exception, match="compressed"):
        writer, reader = client.do_put(flight.FlightDescriptor.for_path("events"), rows.schema, packed)
        with writer:
            writer.write_table(rows)
            writer.done_writing()
            reader.read()
    assert resident(server) < 700 << 20
    server.query(QUICK)


def test_bound_values_are_limited_where_they_stand(server):
    with pytest.raises(Exception, match="bound values have more than"):
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT " + ",".join(f"$1 AS c{n}" for n in range(100)), ("x" * (1 << 20),))
            cursor.fetchall()
    server.query(QUICK)


def test_who_has_to_come_again_finds_his_result(own):
    server = own("--set", "flightQueriesMax=1", "--set", "flightQuerySecondsMax=9")
    client, options = server.client()
    sql = QUICK.encode()
    command = b"\x0a" + bytes([len(sql)]) + sql
    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    message = b"\x0a" + bytes([len(kind)]) + kind + b"\x12" + bytes([len(command)]) + command
    ticket = client.get_flight_info(flight.FlightDescriptor.for_command(message), options).endpoints[0].ticket
    thread = threading.Thread(target=lambda: pytest.raises(Exception, server.query, ENDLESS), daemon=True)
    thread.start()
    time.sleep(2)
    with pytest.raises(flight.FlightUnavailableError):
        client.do_get(ticket, options).read_all()
    thread.join()
    assert client.do_get(ticket, options).read_all().num_rows == 1


def test_an_exchange_that_is_not_read_ends(own):
    server = own("--set", "flightQueriesMax=1", "--set", "flightQuerySecondsMax=3")
    rows = pa.table({"user_id": [f"u{n % 300}" for n in range(60_000)], "item_id": [f"item-{n % 7001}" for n in range(60_000)]})
    client, calling = server.client()
    descriptor = flight.FlightDescriptor.for_path("cross-occurrence", json.dumps({"maxCorrelators": 200}))
    writer, _ = client.do_exchange(descriptor, calling)
    writer.begin(rows.schema)
    writer.write_table(rows)
    writer.done_writing()
    time.sleep(5)
    assert seconds(lambda: server.query(QUICK)) < 4
    # nor does one that never sends
    silent, _ = client.do_exchange(descriptor, calling)
    silent.begin(rows.schema)
    time.sleep(5)
    assert seconds(lambda: server.query(QUICK)) < 4


def test_indicators_and_correlators_are_limited(own):
    server = own("--set", "flightQueryBytesMax=30000000")
    rows = pa.table({"indicator": ["a"], "user_id": ["u"], "item_id": ["i"]})
    with pytest.raises(Exception, match="at most 256"):
        exchange(server, rows, options={"indicators": [f"i{n}" for n in range(60_000)]})
    wide = pa.table({"user_id": [f"u{n % 10}" for n in range(30_000)], "item_id": [f"i{n}" for n in range(30_000)]})
    with pytest.raises(Exception, match="flightQueryBytesMax"):
        exchange(server, wide, options={"maxCorrelators": 4_000_000_000, "maxPrefs": 4_000_000_000})
    server.query(QUICK)


def test_an_app_writes_into_its_own_folder(own, tmp_path):
    exports = tmp_path / "exports"
    server = own("--export-directory", str(exports), "--set", f"serverKey={SERVER_KEY}")
    server.shop.arblast("app", "new", "my shop", "--access-key", "key-of-other")
    copy = "COPY (SELECT 1 AS one) TO 'one.parquet' STORED AS PARQUET"
    for key in [None, "key-of-other", SERVER_KEY]:
        server.query(copy, key=key)
    files = sorted(str(path.relative_to(exports)) for path in exports.rglob("*.parquet"))
    assert len(files) == 3 and files[1:] == ["one.parquet", "shop/one.parquet"] and files[0].startswith("my_shop-"), files


def test_copies_do_not_fill_the_disk(own, tmp_path):
    exports = tmp_path / "exports"
    server = own("--export-directory", str(exports), "--set", "flightExportBytesMax=20000000", "--set", f"serverKey={SERVER_KEY}")
    server.shop.arblast("app", "new", "other", "--access-key", "key-of-other")
    # 8 MB of digits that no compression makes small
    copy = "COPY (SELECT digest(value::text, 'sha256') AS d FROM generate_series(1, {rows})) TO '{name}' STORED AS PARQUET"
    server.query(copy.format(rows=250_000, name="one.parquet"))
    for rows, name in [(500_000, "two.parquet"), (5_000_000, "large/"), (500_000, "one.parquet")]:
        with pytest.raises(Exception, match="flightExportBytesMax") as refused:
            server.query(copy.format(rows=rows, name=name))
        assert code(refused) == "RESOURCEEXHAUSTED", refused.value
    held = sum(path.stat().st_size for path in exports.rglob("*") if path.is_file())
    assert 5_000_000 < held < 20_000_000, "no part of a refused copy is left"
    server.query(copy.format(rows=250_000, name="two.parquet"))
    # another app has room of its own
    server.query(copy.format(rows=500_000, name="two.parquet"), key="key-of-other")
