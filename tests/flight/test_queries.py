"""Every documented query through ADBC and JDBC, compared with the same statement in process."""

import datetime
import decimal
import json
import re
import subprocess
import time

import pyarrow as pa
import pyarrow.flight
import pytest

from conftest import JDBC_JAR, ROOT

PAGE = (ROOT / "docs/flight.md").read_text()
QUERIES = re.findall(r"(?<!-->\n)```sql\n(.*?)\n```", PAGE, re.DOTALL)
COPIES = re.findall(r"<!-- run: copy -->\n```sql\n(.*?)\n```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"<!-- run -->\n```python\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_examples():
    assert len(QUERIES) > 10 and len(COPIES) == 1 and len(EXAMPLES) == 5


@pytest.mark.parametrize("sql", QUERIES)
def test_adbc_gives_what_is_computed_in_process(server, shop, sql):
    expected = shop.in_process(sql)
    assert expected.num_rows > 0
    table = server.query(sql)
    assert table.schema.equals(expected.schema, check_metadata=False)
    assert table.equals(expected)


def cell(value):
    """A value as the Java program prints it."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}"
    if isinstance(value, list):
        return [cell(element) for element in value]
    if isinstance(value, dict):
        return {name: cell(element) for name, element in value.items()}
    if isinstance(value, (float, decimal.Decimal)):
        return float(value)
    return value


@pytest.fixture(scope="module")
def jdbc(server, shop, tmp_path_factory):
    """All queries in one JVM; gives for each what it printed."""
    folder = tmp_path_factory.mktemp("jdbc")
    statements = folder / "statements"
    statements.write_text("\n;\n".join(QUERIES + COPIES))
    url = f"jdbc:arrow-flight-sql://127.0.0.1:{server.port}/?useEncryption=false&user=me&password={shop.access_key}"
    java = ["/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", JDBC_JAR, str(ROOT / "tests/flight/Queries.java")]
    done = subprocess.run([*java, url, str(statements)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return {answer.pop("of"): answer for answer in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("sql", QUERIES)
def test_jdbc_gives_the_same(jdbc, shop, sql):
    expected = shop.in_process(sql)
    answer = jdbc[sql]
    assert answer["columns"] == expected.column_names
    rows = [[cell(value) for value in row.values()] for row in expected.to_pylist()]
    assert answer["rows"] == rows


def test_jdbc_copies(jdbc):
    assert jdbc[COPIES[0]]["rows"][0][0] > 100


def test_jdbc_binds_parameters_and_browses(jdbc):
    assert jdbc["catalogs"]["rows"] == [["arblast"]]
    assert jdbc["schemas"]["rows"] == [["public", "arblast"]]
    tables = [row[2] for row in jdbc["tables"]["rows"]]
    assert tables == ["correlators", "engine_instances", "events", "interactions", "items", "models", "rankings"]
    assert {row[3] for row in jdbc["tables"]["rows"]} == {"TABLE"} and jdbc["types"]["rows"] == [["TABLE"]]
    columns = {row[3]: row[5] for row in jdbc["columns"]["rows"]}
    assert columns["llr"] == "DOUBLE" and list(columns)[:3] == ["app", "engine", "indicator"]
    assert jdbc["keys"]["rows"] == [] and jdbc["product"]["rows"] == [["Arblast"]]
    assert jdbc["bound"]["rows"] == [[2]] and jdbc["asked"]["rows"] == [[3]]
    assert "table 'arblast.public.nowhere' not found" in jdbc["wrong"]["rows"][0][0]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_work_as_they_stand(own, number):
    server = own()
    variables = {"URL": server.location, "LOCATION": server.location, "KEY": server.shop.access_key}
    put = next(text for text in EXAMPLES if "do_put" in text)
    text = EXAMPLES[number]
    if "client" in text and text is not put:
        exec(put, variables)  # it makes the client
    exec(text, variables)


def test_parameters_stand_anywhere(server, shop):
    sql = "SELECT place, item_id FROM recommend(?, ?) WHERE score > ? ORDER BY place LIMIT ?"
    table = server.query(sql, ("maya", 5, 0.0, 2))
    assert table.num_rows == 2
    assert table.equals(shop.in_process("SELECT place, item_id FROM recommend('maya', 5) ORDER BY place LIMIT 2"))
    again = server.query("SELECT count(*) AS n FROM events WHERE entity_id = $1 AND entity_type = $2 AND event_time > $3", ("maya", "user", datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)))
    assert again.equals(shop.in_process("SELECT count(*) AS n FROM events WHERE entity_id = 'maya' AND entity_type = 'user'"))
    hostile = server.query("SELECT count(*) AS n FROM events WHERE entity_id = ?", ("maya' OR '1'='1",))
    assert hostile["n"].to_pylist() == [0]
    assert server.query("SELECT '?' AS a, ? AS b", ("x",)).to_pylist() == [{"a": "?", "b": "x"}]


def test_adbc_browses(server):
    with server.connect() as connection:
        objects = connection.adbc_get_objects().read_all().to_pylist()
        (catalog,) = objects
        assert catalog["catalog_name"] == "arblast"
        (schema,) = catalog["catalog_db_schemas"]
        tables = {table["table_name"]: table for table in schema["db_schema_tables"]}
        assert [column["column_name"] for column in tables["items"]["table_columns"]] == ["app", "engine", "item_id", "properties"]
        assert connection.adbc_get_info()["vendor_name"] == "Arblast"
        assert connection.adbc_get_table_schema("rankings").names == ["app", "engine", "item_id", "ranking", "value"]


def test_conditions_reach_the_store(server, shop):
    def plan(sql):
        return "\n".join(server.query(f"EXPLAIN {sql}")["plan"].to_pylist())
    pushed = plan("SELECT event_id FROM events WHERE entity_type = 'user' AND entity_id = 'maya' AND event IN ('view', 'search') AND event_time >= TIMESTAMP '2020-01-01T00:00:00Z'")
    assert "FilterExec" not in pushed, pushed
    assert "FilterExec" not in plan("SELECT llr FROM correlators WHERE engine = 'shop' AND indicator = 'view' AND item_id = 'x'")
    assert "FilterExec" in plan("SELECT event_id FROM events WHERE length(entity_id) = 4")
    assert "fetch=3" in plan("SELECT event_id FROM events LIMIT 3")
    # the same rows either way
    for condition in ["event_time >= TIMESTAMP '{t}'", "event_time < TIMESTAMP '{t}'", "event_time = TIMESTAMP '{t}'", "target_entity_id IS NULL", "event <> 'view'", "item = 'x'"]:
        if condition.startswith("item"):
            continue
        time = shop.in_process("SELECT max(event_time) AS t FROM events")["t"][0].as_py().isoformat()
        where = condition.format(t=time)
        whole = shop.in_process(f"SELECT sum(CASE WHEN {where} THEN 1 ELSE 0 END) AS n FROM events")["n"][0].as_py()
        assert server.query(f"SELECT count(*) AS n FROM events WHERE {where}")["n"][0].as_py() == whole, where
    first, last = "F", "T"
    ranged = server.query(f"SELECT item_id FROM items WHERE item_id >= '{first}' AND item_id < '{last}' ORDER BY item_id")["item_id"].to_pylist()
    every = server.query("SELECT item_id FROM items ORDER BY item_id")["item_id"].to_pylist()
    assert ranged == [item for item in every if first <= item < last] and ranged


def test_answers_are_those_of_the_query_server(server, shop):
    query = {"user": "maya", "num": 6}
    answer = json.loads(shop.arblast("query", json.dumps(query), "--json"))["itemScores"]
    table = server.query("SELECT item_id, score FROM recommend('maya', 6) ORDER BY place").to_pylist()
    assert [row["item_id"] for row in table] == [item["item"] for item in answer]
    (told,) = server.action("recommend", {"query": query})
    assert told["itemScores"] == answer


def test_the_history_is_that_of_now(own):
    server = own()
    empty = server.query("SELECT sum(score) AS s FROM recommend('newcomer', 4)")["s"][0].as_py()
    assert empty == 0
    with server.connect() as connection, connection.cursor() as cursor:
        rows = pa.table({"event": ["purchase"], "entity_type": ["user"], "entity_id": ["newcomer"], "target_entity_type": ["item"], "target_entity_id": ["Fernway Tent 2 Person"]})
        assert cursor.adbc_ingest("events", rows, mode="append") == 1
    assert server.query("SELECT sum(score) AS s FROM recommend('newcomer', 4)")["s"][0].as_py() > 0
    # and properties
    with server.connect() as connection, connection.cursor() as cursor:
        rows = pa.table({"event": ["$set"], "entity_type": ["item"], "entity_id": ["A new thing"], "properties": ['{"brand": "Own"}']})
        assert cursor.adbc_ingest("events", rows, mode="append") == 1
    import time
    for _ in range(100):
        found = server.query("SELECT property(properties, 'brand') AS brand FROM items WHERE item_id = 'A new thing'").to_pylist()
        if found:
            break
        time.sleep(0.1)
    assert found == [{"brand": "Own"}]


def test_nothing_is_an_answer(own):
    """An app without engine, and an engine without model."""
    server = own()
    server.shop.arblast("app", "new", "empty", "--access-key", "the-key-of-empty")
    for table in ["events", "interactions", "items", "correlators", "models", "engine_instances"]:
        assert server.query(f"SELECT * FROM {table}", key="the-key-of-empty").num_rows == 0, table
    with pytest.raises(Exception, match="no engine is trained yet"):
        server.query("SELECT * FROM recommend('maya', 3)", key="the-key-of-empty")


@pytest.mark.parametrize("sql, told", [
    ("SELEC 1", "SELEC"),
    ("SELECT nothing FROM events", "nothing"),
    ("SELECT * FROM nowhere", "nowhere"),
    ("SELECT 1; SELECT 2", "single SQL statement"),
    ("SELECT * FROM recommend('maya', 0)", "whole number from 1"),
    ("SELECT * FROM recommend(5)", "no text"),
    ("SELECT * FROM recommend()", r"recommend\(user"),
    ("SELECT * FROM recommend('maya', 3, 'other')", "there is no engine other"),
    ("SELECT * FROM ask('{\"usr\": ')", "ask"),
    ("SELECT llr(-1, 1, 1, 1)", "less than 0"),
    ("SELECT top_correlators(item_id, 1.0, 0) FROM items", "k must be 1"),
    ("SELECT 1 / 0", "[Dd]ivi"),
    ("SELECT CAST('x' AS INT)", "x"),
    ("CREATE TABLE t AS SELECT 1", "not supported"),
    ("CREATE EXTERNAL TABLE t (a INT) STORED AS CSV LOCATION '/etc/passwd'", "not supported"),
    ("SELECT * FROM '/etc/passwd'", "not found"),
    ("INSERT INTO events SELECT * FROM events", "not supported|not implemented"),
    ("DROP TABLE events", "not supported"),
    ("SET datafusion.execution.batch_size = 1", "not supported"),
    ("COPY (SELECT 1) TO '/etc/x.parquet' STORED AS PARQUET", "name a place in the export folder"),
    ("COPY (SELECT 1) TO '../x.parquet' STORED AS PARQUET", "name a place in the export folder"),
    ("COPY (SELECT 1) TO 's3://b/x.parquet' STORED AS PARQUET", "name a place in the export folder"),
    ("EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.parquet' STORED AS PARQUET", "not supported"),
    ("SELECT $1", "bound"),
])
def test_what_is_wrong_is_told(server, sql, told):
    with pytest.raises(Exception, match=told) as error:
        server.query(sql)
    assert "INVALID_ARGUMENT" in str(error.value).upper().replace("INVALIDARGUMENT", "INVALID_ARGUMENT") or "NOT_FOUND" in str(error.value).upper().replace("NOTFOUND", "NOT_FOUND"), error.value
    assert "\n" not in str(error.value).split(". Vendor code")[0].strip()


BOUGHT = "SELECT indicator, user_id, item_id FROM interactions WHERE indicator IN ('purchase', 'view')"


def test_cross_occurrence_counts_as_an_exchange_does(server):
    options = {"indicators": ["purchase", "view"], "maxCorrelators": 7, "minLLR": 1.5, "seed": 3}
    found = server.query(f"SELECT * FROM cross_occurrence(({BOUGHT}), '{json.dumps(options)}')")
    client, calling = server.client()
    descriptor = pa.flight.FlightDescriptor.for_path("cross-occurrence", json.dumps(options))
    writer, reader = client.do_exchange(descriptor, calling)
    with writer:
        rows = server.query(BOUGHT)
        writer.begin(rows.schema)
        writer.write_table(rows)
        writer.done_writing()
        expected = reader.read_all()
    assert found.num_rows > 100 and found.combine_chunks().equals(expected.combine_chunks())
    # the query as text is the same
    text = BOUGHT.replace("'", "''")
    assert server.query(f"SELECT * FROM cross_occurrence('{text}', '{json.dumps(options)}')").equals(found)


def test_cross_occurrence_goes_where_a_table_goes(server, shop):
    # some columns, a filter, parameters inside and outside, a query in the query
    sql = "SELECT count(*) AS n, max(llr) AS most FROM cross_occurrence((SELECT user_id, item_id FROM interactions WHERE indicator = ?)) WHERE llr > ?"
    views = server.query(sql, ("view", 2.0)).to_pylist()
    assert views[0]["n"] > 0 and views != server.query(sql, ("purchase", 2.0)).to_pylist()
    with_options = "SELECT DISTINCT indicator FROM cross_occurrence((SELECT user_id, item_id FROM interactions WHERE indicator = ?), ?)"
    assert server.query(with_options, ("view", '{"indicators": ["seen"]}'))["indicator"].to_pylist() == ["seen"]
    nested = "SELECT count(*) AS n FROM cross_occurrence((SELECT item_id AS user_id, correlator_id AS item_id FROM cross_occurrence((SELECT user_id, item_id FROM interactions WHERE indicator = 'purchase'))))"
    assert server.query(nested)["n"][0].as_py() > 0
    numbers = "SELECT DISTINCT item_id FROM cross_occurrence((SELECT u AS user_id, u % 7 AS item_id FROM generate_series(1, 1000) t(u) UNION ALL SELECT u, u % 5 FROM generate_series(1, 1000) t(u))) ORDER BY item_id"
    assert server.query(numbers)["item_id"].to_pylist() == [str(n) for n in range(7)]
    assert server.query("SELECT * FROM cross_occurrence((SELECT user_id, item_id FROM interactions WHERE false))").num_rows == 0
    plan = server.query(f"EXPLAIN SELECT * FROM cross_occurrence(({BOUGHT}), '{{\"indicators\": [\"purchase\", \"view\"]}}')")["plan"].to_pylist()
    assert any("CrossOccurrenceExec: indicators=" in text for text in plan), plan


@pytest.mark.parametrize("arguments, told", [
    ("(SELECT user_id FROM interactions)", "column item_id is missing"),
    (f"({BOUGHT}), '{{\"indicators\": [\"purchase\"], \"x\": 1}}'", "x is no option"),
    (f"({BOUGHT}), '{{\"maxCorrelators\": 0}}'", "maxCorrelators must be a whole number from 1"),
    (f"({BOUGHT}), '{{\"indicators\": []}}'", "no indicator"),
    (f"({BOUGHT}), '[1]'", "a JSON object"),
    (f"({BOUGHT}), '{{\"indicators\": [\"purchase\", \"add\"]}}'", 'a row is of indicator "view"'),
    ("(SELECT 1.5 AS user_id, 'x' AS item_id)", "user_id must be text"),
    ("'CREATE TABLE x (a INT)'", "DDL"),
    ("'COPY events TO ''x.parquet'' STORED AS PARQUET'", "not supported|DML"),
    ("'SELECT nothing FROM events'", "nothing"),
    ("'no sql'", "(?i)sql"),
    ("", "expected cross_occurrence"),
    ("3", "expected cross_occurrence"),
])
def test_wrong_cross_occurrences_are_told(server, arguments, told):
    with pytest.raises(Exception, match=told) as error:
        server.query(f"SELECT * FROM cross_occurrence({arguments})")
    assert "INVALID" in str(error.value).upper(), error.value


def test_cross_occurrence_takes_no_more_than_a_statement_may(own):
    server = own("--set", "flightQueryBytesMax=20000000")
    many = "SELECT a.event_id AS user_id, b.event_id AS item_id FROM events a CROSS JOIN events b"
    with pytest.raises(Exception) as error:
        server.query(f"SELECT * FROM cross_occurrence(({many}))")
    assert any(word in str(error.value).upper().replace("_", " ") for word in ("RESOURCE EXHAUSTED", "RESOURCEEXHAUSTED")), error.value
    # few rows that take long to count: the end comes in time
    server = own("--set", "flightQueryBytesMax=100000000", "--set", "flightQuerySecondsMax=1")
    heavy = "SELECT u % 20 AS user_id, u / 20 AS item_id FROM generate_series(0, 699999) t(u)"
    began = time.monotonic()
    with pytest.raises(Exception) as error:
        server.query(f"SELECT * FROM cross_occurrence(({heavy}), '{{\"maxPrefs\": 100000}}')")
    assert "DEADLINE" in str(error.value).upper() and time.monotonic() - began < 3, error.value
    server.query("SELECT 1")
