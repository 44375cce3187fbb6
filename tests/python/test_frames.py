"""Correlators of tables: the rows of `arblast itemsimilarity`, of whatever library and types the columns are."""

import arblast
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from conftest import interactions, rows, similarity


@pytest.fixture(scope="module")
def expected(pairs, tmp_path_factory):
    return similarity(tmp_path_factory.mktemp("expected"), pairs)


def texts(kind):
    return lambda columns: pa.table({name: pa.array(values, kind) for name, values in columns.items()})


def coded(index):
    def table(columns):
        kind = pa.dictionary(index, pa.string())
        return pa.table({name: pa.array(values, pa.string()).dictionary_encode().cast(kind) for name, values in columns.items()})
    return table


def with_nulls(columns):
    """Rows that do not count, among the others."""
    users, items = columns["user"], columns["item"]
    return pa.table({
        "user": [None, *users[:1000], "u1", None, *users[1000:]],
        "item": ["i1", *items[:1000], None, None, *items[1000:]],
    })


def sliced(columns):
    table = pa.table({"user": ["no", *columns["user"], "no"], "item": ["no", *columns["item"], "no"]})
    return table.slice(1, len(columns["user"]))


FORMS = {
    "lists": dict,
    "utf8": texts(pa.string()),
    "large utf8": texts(pa.large_string()),
    "utf8 view": texts(pa.string_view()),
    "dictionary of int8": lambda columns: pa.table({"user": columns["user"], "item": coded(pa.int8())({"item": columns["item"]})["item"]}),
    "dictionary of int32": coded(pa.int32()),
    "dictionary of uint64": coded(pa.uint64()),
    "dictionary of views": lambda columns: pa.table({
        name: pa.DictionaryArray.from_arrays(pa.array(values).dictionary_encode().indices, pa.array(list(dict.fromkeys(values)), pa.string_view()))
        for name, values in columns.items()}),
    "chunks": lambda columns: pa.concat_tables(pa.table(columns).slice(at, 333) for at in range(0, len(columns["user"]), 333)),
    "empty chunks": lambda columns: pa.concat_tables([pa.table(columns).slice(0, 0), pa.table(columns), pa.table(columns).slice(0, 0)]),
    "sliced": sliced,
    "nulls": with_nulls,
    "repetitions": lambda columns: pa.concat_tables([pa.table(columns), pa.table(columns)]),
    "other columns": lambda columns: pa.table({"x": np.zeros(len(columns["user"])), "item": columns["item"], "user": columns["user"]}),
    "batch": lambda columns: pa.RecordBatch.from_pydict(columns),
    "reader": lambda columns: pa.RecordBatchReader.from_batches(pa.table(columns).schema, pa.table(columns).to_batches(max_chunksize=50)),
    "pandas": pd.DataFrame,
    "pandas objects": lambda columns: pd.DataFrame(columns, dtype=object),
    "pandas categories": lambda columns: pd.DataFrame(columns).astype("category"),
    "pandas index": lambda columns: pd.DataFrame(columns).sample(frac=1, random_state=1),
    "pandas mixed": lambda columns: pd.DataFrame({**columns, "odd": [1, "a"] * (len(columns["user"]) // 2)}),
    "polars": pl.DataFrame,
    "polars categories": lambda columns: pl.DataFrame(columns).cast(pl.Categorical),
    "polars chunks": lambda columns: pl.concat([pl.DataFrame(columns)[:700], pl.DataFrame(columns)[700:]], rechunk=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form(pairs, expected, form):
    found = arblast.cross_occurrence({name: FORMS[form](columns) for name, columns in pairs.items()})
    assert {name: rows(table) for name, table in found.items()} == expected


@pytest.mark.parametrize("threads", [1, 2, 7, None])
def test_any_number_of_threads(pairs, expected, threads):
    many = {name: pa.table(columns) for name, columns in pairs.items()}
    assert {name: rows(table) for name, table in arblast.cross_occurrence(many, threads=threads).items()} == expected


def test_options(pairs, tmp_path):
    options = {"k": 7, "min_llr": 4.5, "cap": 12, "seed": 99}
    expected = similarity(tmp_path, pairs, "--max-correlators", "7", "--min-llr", "4.5", "--max-prefs", "12", "--seed", "99")
    found = arblast.cross_occurrence(pairs, **options)
    assert {name: rows(table) for name, table in found.items()} == expected
    assert max(len(rows) for rows in expected.values()) > 20


def test_one_product(pairs, tmp_path):
    expected = similarity(tmp_path, {"primary": pairs["purchase"], "secondary": pairs["view"]})
    assert rows(arblast.cross_occurrence(pairs["purchase"])) == expected["primary"]
    assert rows(arblast.cross_occurrence(pairs["purchase"], pairs["view"])) == expected["secondary"]


INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


@pytest.mark.parametrize("kind", INTEGERS)
def test_whole_numbers(kind, tmp_path):
    pairs = [(int(user[1:]) % 120, int(item[1:])) for user, item in interactions(3)]
    texts = {"user": [str(user) for user, _ in pairs], "item": [str(item) for _, item in pairs]}
    expected = similarity(tmp_path, {"primary": texts})["primary"]
    users, items = np.array(pairs).T.astype(kind)
    wanted = [(int(item), int(thing), llr) for item, thing, llr in expected]
    for frame in (pa.table({"user": users, "item": items}), pd.DataFrame({"user": users, "item": items}), pl.DataFrame({"user": users, "item": items})):
        found = arblast.cross_occurrence(frame)
        assert rows(found) == wanted
    kinds = {field.name: str(field.type) for field in pa.table(found).schema}
    assert kinds == {"item": "uint64" if kind is np.uint64 else "int64", "correlator": "uint64" if kind is np.uint64 else "int64", "llr": "double"}


def test_two_columns_need_no_names(pairs, expected):
    renamed = {name: pa.table({"who": columns["user"], "what": columns["item"]}) for name, columns in pairs.items()}
    assert rows(arblast.cross_occurrence(renamed)["view"]) == expected["view"]
    wide = {name: table.append_column("x", table["who"]) for name, table in renamed.items()}
    assert rows(arblast.cross_occurrence(wide, user="who", item="what")["view"]) == expected["view"]
    with pytest.raises(ValueError, match='no column "user", only who, what, x'):
        arblast.cross_occurrence(wide)


def test_nothing(pairs):
    empty = pa.table({"user": pa.array([], pa.string()), "item": pa.array([], pa.string())})
    assert rows(arblast.cross_occurrence(empty)) == []
    assert rows(arblast.cross_occurrence(empty, pairs["view"])) == []
    assert rows(arblast.cross_occurrence(pairs["purchase"], empty)) == []
    assert rows(arblast.cross_occurrence(pa.table({"user": pa.nulls(3), "item": pa.nulls(3)}))) == []
    assert rows(arblast.cross_occurrence({"user": [], "item": []})) == []
    schema = pa.schema([("user", pa.string()), ("item", pa.string())])
    assert rows(arblast.cross_occurrence(pa.RecordBatchReader.from_batches(schema, []))) == []


def test_results_go_anywhere(pairs):
    result = arblast.cross_occurrence(pairs["purchase"])
    table = pa.table(result)
    assert table.num_rows == len(result) == len(rows(result))
    assert table.column_names == result.column_names == ["item", "correlator", "llr"]
    assert pl.DataFrame(result).rows() == rows(result)
    assert pd.DataFrame.from_arrow(result)["llr"].tolist() == result.to_pydict()["llr"]
    assert pa.table(arblast.Table.from_arrow(table)).equals(table), "in and out again"


def addresses(table):
    return [buffer.address for column in table.columns for chunk in column.chunks for buffer in chunk.buffers() if buffer]


def test_nothing_is_copied_on_the_way():
    table = pa.table({"user": pa.array(["a" * 20] * 1000), "item": pa.array(range(1000))})
    assert addresses(pa.table(arblast.Table.from_arrow(table))) == addresses(table)
    once = pa.table(arblast.cross_occurrence({"user": ["a", "a", "b"], "item": ["x", "y", "z"]}))
    assert addresses(pa.table(arblast.Table.from_arrow(once))) == addresses(once)


def test_a_table_outlives_what_it_came_from():
    table = arblast.Table.from_arrow(pa.table({"a": pa.array([f"text {n}" for n in range(10_000)])}))
    out = pa.table(table)
    del table
    pa.array(np.random.default_rng(1).random(1_000_000))
    assert out["a"][9_999].as_py() == "text 9999"
