"""`arblast import` of Parquet: as `pio export --format parquet` writes it, and as `arblast export` does."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from conftest import Shop

WITHOUT = ("creationTime",)


@pytest.fixture
def other(shop, tmp_path):
    """An empty app in a home of its own."""
    other = Shop(home=tmp_path / "other", engine=shop.engine, access_key="")
    other.arblast("app", "new", "shop")
    return other


def events(text):
    return {event["eventId"]: {name: value for name, value in event.items() if name not in WITHOUT} for event in map(json.loads, text.splitlines())}


def digest(shop, now):
    return re.search(r"digest ([0-9a-f]{64})", shop.arblast("train", "--now", now)).group(1)


def test_an_export_of_predictionio(shop, other, tmp_path):
    lines = (shop.engine / "events.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    # Spark makes one structure of all properties that occur, and writes empty ones as such.
    names = ["eventId", "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "eventTime"]
    columns = {name: [row.get(name) for row in rows] for name in names}
    table = pa.table({**columns, "properties": [row.get("properties", {}) for row in rows]})
    assert pa.types.is_struct(table.schema.field("properties").type)
    folder = tmp_path / "export"
    folder.mkdir()
    for part in range(3):
        parquet.write_table(table.slice(part * 30_000, 30_000), folder / f"part-0000{part}-c000.snappy.parquet", compression="snappy")
    (folder / "_SUCCESS").write_text("")
    (folder / ".part-00000-c000.snappy.parquet.crc").write_bytes(b"crc\0")
    said = other.arblast("import", "--app", "shop", "--input", str(folder))
    assert f"{len(rows):,} events of" in said, said
    now = max(row["eventTime"] for row in rows)
    assert digest(other, now) == digest(shop.copy(tmp_path / "same"), now)


def test_an_export_of_ours(shop, other, tmp_path):
    shop.arblast("export", "--app", "shop", "--output", str(tmp_path / "out"), "--format", "parquet")
    for _ in range(2):
        other.arblast("import", "--app", "shop", "--input", str(tmp_path / "out"))
    exported = [events(one.arblast("export", "--app", "shop", "--output", "-")) for one in (shop, other)]
    assert exported[0] == exported[1]


def test_what_is_no_export(other, tmp_path):
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    refused = other.arblast("import", "--app", "shop", "--input", str(tmp_path / "x.parquet"), check=False)
    assert refused.returncode == 1 and "no column event" in refused.stderr and len(refused.stderr.splitlines()) == 1, refused
    (tmp_path / "y.parquet").write_bytes(b"PAR1 and nothing more")
    refused = other.arblast("import", "--app", "shop", "--input", str(tmp_path / "y.parquet"), check=False)
    assert refused.returncode == 1 and "no good Parquet" in refused.stderr, refused
