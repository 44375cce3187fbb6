"""`connect`: SQL over a server that `arblast flight serve` runs, and the same answers as from Python itself."""

import re
import subprocess

import adbc_driver_manager.dbapi
import arblast
import pandas
import pyarrow as pa
import pytest

from conftest import ARBLAST
from test_docs import blocks, run

KEY = "a-key-to-read-with"


@pytest.fixture(scope="module")
def url(shop):
    """Where a server of the sample shop listens."""
    shop.arblast("accesskey", "new", "shop", "--key", KEY, "--scope", "read")
    server = subprocess.Popen([ARBLAST, "flight", "serve", "--home", shop.home, "--port", "0"], cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = server.stdout.readline()
        assert "live at" in line, line + server.stdout.read()
        yield re.search(r"grpc://\S+\d", line).group()
    finally:
        server.terminate()
        said, _ = server.communicate(timeout=60)
    assert server.returncode == 0 and "panicked" not in said and KEY not in said, said


@pytest.fixture
def cursor(url):
    with arblast.connect(url, token=KEY) as connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture(scope="module")
def model(shop):
    return arblast.Model.open(shop.folder, home=shop.home)


def test_rows_and_tables(shop, cursor):
    cursor.execute("SELECT event, count(*) AS events FROM events GROUP BY event ORDER BY event")
    assert [column[0] for column in cursor.description] == ["event", "events"]
    counts = pandas.Series([event["event"] for event in shop.events]).value_counts().sort_index()
    assert cursor.fetchall() == list(zip(counts.index, counts))
    cursor.execute("SELECT entity_id, event_time FROM events WHERE false")
    empty = cursor.fetch_arrow_table()
    assert empty.num_rows == 0 and pa.types.is_string(empty.schema.field("entity_id").type) and pa.types.is_timestamp(empty.schema.field("event_time").type)


def test_an_address_without_a_scheme(url):
    with arblast.connect(url.removeprefix("grpc://"), token=KEY) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchone() == (1,)


def test_parameters(cursor, shop):
    def number(statement, *parameters):
        cursor.execute(statement, parameters)
        return cursor.fetch_arrow_table().column(0)[0].as_py()

    hers = [event for event in shop.events if event["entityId"] == "maya"]
    times = sorted(event["eventTime"] for event in hers)
    assert number("SELECT count(*) FROM events WHERE entity_id = ?", "maya") == len(hers)
    assert number("SELECT count(*) FROM events WHERE entity_id = $1 AND event_time >= $2", "maya", pandas.Timestamp(times[2]).to_pydatetime()) == len(hers) - 2
    assert number("SELECT count(*) FROM events WHERE entity_id = ?", "maya' OR '1'='1") == 0
    assert number("SELECT count(*) FROM recommend(?, ?)", "maya", 3) == 3


def test_recommendations_are_those_of_the_model(cursor, model):
    cursor.execute("SELECT item_id, score FROM recommend(?, 8) ORDER BY place", ("maya",))
    assert cursor.fetchall() == [(one.item, pytest.approx(one.score, rel=1e-6)) for one in model.recommend("maya", 8)]


def test_correlators_are_those_of_the_model(cursor, model):
    order = ["indicator", "item", "place"]
    cursor.execute("SELECT item_id AS item, indicator, place, correlator_id AS correlator, llr FROM correlators")
    found = cursor.fetch_arrow_table().to_pandas().sort_values(order, ignore_index=True)
    expected = pandas.DataFrame.from_arrow(model.correlators()).sort_values(order, ignore_index=True)
    pandas.testing.assert_frame_equal(found, expected[list(found)], check_dtype=False, check_exact=True)


def test_cross_occurrence_is_that_of_python(cursor):
    rows = "SELECT DISTINCT indicator, user_id, item_id FROM interactions WHERE indicator IN ('purchase', 'search')"
    cursor.execute(rows)
    given = cursor.fetch_arrow_table().to_pandas()
    tables = {name: its[["user_id", "item_id"]] for name, its in given.groupby("indicator")}
    expected = arblast.cross_occurrence(tables, user="user_id", item="item_id", k=7, min_llr=4)
    cursor.execute(f'SELECT indicator, item_id, correlator_id, llr FROM cross_occurrence(({rows}), \'{{"indicators": ["purchase", "search"], "maxCorrelators": 7, "minLLR": 4}}\')')
    found = cursor.fetch_arrow_table().to_pandas()
    for name in ("purchase", "search"):
        ours = pandas.DataFrame(expected[name].to_pydict())
        theirs = found[found.indicator == name]
        assert len(ours) > 500 and set(theirs[["item_id", "correlator_id", "llr"]].itertuples(index=False, name=None)) == set(ours.itertuples(index=False, name=None))


@pytest.mark.parametrize("token, told", [("a-wrong-key", "UNAUTHENTICATED.*Invalid accessKey"), ("", "UNAUTHENTICATED"), (None, "UNAUTHENTICATED.*an access key is needed")])
def test_a_wrong_key_is_told(url, token, told):
    with pytest.raises(adbc_driver_manager.dbapi.ProgrammingError, match=told) as caught:
        with arblast.connect(url, token=token) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM events")
    assert "a-wrong-key" not in str(caught.value)


def test_wrong_statements_are_told_and_the_connection_goes_on(cursor):
    for statement, told in [
        ("SELECT * FROM nowhere", "INVALID_ARGUMENT.*nowhere.* not found"),
        ("SELEC 1", "INVALID_ARGUMENT"),
        ("INSERT INTO events VALUES (1)", "INVALID_ARGUMENT"),
        ("SELECT * FROM cross_occurrence((SELECT user_id FROM interactions))", "INVALID_ARGUMENT.*cross_occurrence: .*item_id"),
    ]:
        with pytest.raises(adbc_driver_manager.dbapi.ProgrammingError, match=told):
            cursor.execute(statement)
            cursor.fetchall()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)


def test_options_reach_the_driver(url):
    with pytest.raises(adbc_driver_manager.dbapi.Error, match="(?i)no such engine|nothing|not found"):
        with arblast.connect(url, token=KEY, **{"adbc.flight.sql.rpc.call_header.arblast-engine": "nothing"}) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM recommend('maya', 1)")
            cursor.fetchall()


def test_the_example_of_the_page(url):
    (text,) = blocks("docs/python.md", "sql")
    names = run("docs/python.md", [text.replace("grpc://localhost:8815", url)], {"ACCESS_KEY": KEY})
    assert names["table"].num_rows == 5
