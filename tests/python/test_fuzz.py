"""Arrays that are odd or wrong: the right answer, or a clear refusal, and never a crash."""

import random
import struct

import arblast
import pyarrow as pa
import pytest

from conftest import rows

ROUNDS = 300


def naive(columns):
    """Distinct pairs that count."""
    return {(user, item) for user, item in zip(columns["user"], columns["item"]) if user is not None and item is not None}


def odd_array(chance, values):
    """These values as an array of some type, perhaps a piece of a larger one, perhaps in chunks."""
    kind = chance.choice([pa.string(), pa.large_string(), pa.string_view(), "dictionary", "dictionary", "shuffled dictionary"])
    before, after = chance.randrange(70), chance.randrange(70)
    padded = ["noise"] * before + values + ["noise"] * after
    if kind == "dictionary":
        array = pa.array(padded, pa.string()).dictionary_encode()
    elif kind == "shuffled dictionary":
        # with values that nobody uses, one twice, and a null among them
        words = list(dict.fromkeys(value for value in padded if value is not None)) + ["unused", None]
        words.append(words[0])
        chance.shuffle(words)
        array = pa.DictionaryArray.from_arrays(pa.array([words.index(value) for value in padded], pa.int16()), pa.array(words))
    else:
        array = pa.array(padded, kind)
    array = array.slice(before, len(values))
    cuts = sorted(chance.randrange(len(values) + 1) for _ in range(chance.randrange(4)))
    bounds = [0, *cuts, len(values)]
    return pa.chunked_array([array.slice(start, end - start) for start, end in zip(bounds, bounds[1:])])


@pytest.mark.parametrize("seed", range(4))
def test_odd_arrays(seed):
    chance = random.Random(seed)
    for _ in range(ROUNDS // 4):
        number = chance.choice([0, 1, 31, 32, 33, 200])
        nulls = chance.choice([0, 0, 0.1, 1])
        alphabet = chance.choice(["abc", "äöü", "日本語", "a\0b", "x,y", '"\n\t'])

        def value():
            return None if chance.random() < nulls else "".join(chance.choice(alphabet) for _ in range(chance.choice([1, 2, 3, 40])))

        columns = {name: [value() for _ in range(number)] for name in ("user", "item")}
        table = pa.table({name: odd_array(chance, values) for name, values in columns.items()})
        pairs = sorted(naive(columns))
        plain = {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}
        assert rows(arblast.cross_occurrence(table)) == rows(arblast.cross_occurrence(plain))


def raw(kind, length, *buffers, children=None):
    buffers = [None if buffer is None else pa.py_buffer(buffer) for buffer in buffers]
    return pa.Array.from_buffers(kind, length, buffers, children=children)


def offsets(*numbers, form="i"):
    return struct.pack(f"<{len(numbers)}{form}", *numbers)


WRONG = {
    "bad UTF-8": lambda: raw(pa.string(), 2, None, offsets(0, 1, 2), b"a\xff"),
    "a cut character": lambda: raw(pa.string(), 2, None, offsets(0, 1, 2), "ä".encode()),
    "descending offsets": lambda: raw(pa.string(), 2, None, offsets(0, 2, 1), b"abc"),
    "large: bad UTF-8": lambda: raw(pa.large_string(), 2, None, offsets(0, 1, 2, form="q"), b"\xc0a"),
    "large: descending": lambda: raw(pa.large_string(), 2, None, offsets(0, 9, 1, form="q"), b"abc"),
    "a key beyond the dictionary": lambda: pa.DictionaryArray.from_arrays(raw(pa.int32(), 2, None, offsets(0, 7)), pa.array(["x"]), safe=False),
    "a negative key": lambda: pa.DictionaryArray.from_arrays(raw(pa.int32(), 2, None, offsets(0, -3)), pa.array(["x"]), safe=False),
    "a dictionary with bad UTF-8": lambda: pa.DictionaryArray.from_arrays(pa.array([0, 1]), raw(pa.string(), 2, None, offsets(0, 1, 2), b"a\xff")),
    "view: bad UTF-8": lambda: raw(pa.string_view(), 2, None, struct.pack("<i12s", 1, b"a") + struct.pack("<i12s", 1, b"\xff")),
    "view: no such buffer": lambda: raw(pa.string_view(), 2, None, struct.pack("<i12s", 1, b"a") + struct.pack("<i4sii", 20, b"aaaa", 5, 0)),
    "view: a negative length": lambda: raw(pa.string_view(), 2, None, struct.pack("<i12s", 1, b"a") + struct.pack("<i12s", -4, b"b")),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("column", ["user", "item"])
def test_wrong_arrays(what, column):
    table = pa.table({"user": pa.array(["a", "b"]), "item": pa.array(["x", "y"])}).set_column(
        {"user": 0, "item": 1}[column], column, WRONG[what]())
    for call in (lambda: arblast.cross_occurrence(table), lambda: arblast.train({"buy": table})):
        with pytest.raises(ValueError, match=f'column "{column}" is malformed|a table is wrong'):
            call()
    events = {"event": ["buy"] * 2, "entityType": ["user"] * 2, "entityId": table["user"], "targetEntityType": ["item"] * 2, "targetEntityId": table["item"]}
    with pytest.raises(ValueError, match="is malformed|a table is wrong"):
        arblast.train(pa.table(events), indicators=["buy"])


def test_bytes_at_random():
    chance = random.Random(7)
    for _ in range(ROUNDS):
        ends = sorted(chance.randrange(60) for _ in range(20))
        if chance.random() < 0.3:
            chance.shuffle(ends)
        text = bytes(chance.choice(b"ab\xc3\xa4\xff") if chance.random() < 0.05 else ord("a") for _ in range(60))
        table = pa.table({"user": raw(pa.string(), 20, None, offsets(0, *ends), text), "item": pa.array([f"i{n % 3}" for n in range(20)])})
        try:
            found = arblast.cross_occurrence(table)
            assert len(found) >= 0
        except ValueError:
            pass


class Giving:
    """Gives what it was told to where Arrow is asked for."""

    def __init__(self, **answers):
        for name, answer in answers.items():
            setattr(self, name, lambda *_, answer=answer: answer)


def test_objects_that_only_pretend():
    table = pa.table({"user": ["a"], "item": ["x"]})
    for answer in (None, 7, "text", (1, 2), table.schema.__arrow_c_schema__(), object()):
        with pytest.raises((TypeError, ValueError)):
            arblast.cross_occurrence(Giving(__arrow_c_stream__=answer))
        with pytest.raises((TypeError, ValueError)):
            arblast.cross_occurrence(Giving(__arrow_c_array__=answer))
    stream = table.__arrow_c_stream__()
    assert len(arblast.Table.from_arrow(Giving(__arrow_c_stream__=stream))) == 1
    with pytest.raises(ValueError, match="already released"):
        arblast.Table.from_arrow(Giving(__arrow_c_stream__=stream))
    with pytest.raises(ValueError, match="a table is wanted, not a column"):
        arblast.cross_occurrence(pa.array(["a"]))
    with pytest.raises(ValueError, match="null as a whole"):
        arblast.cross_occurrence(pa.array([{"user": "a", "item": "x"}, None]))

    def broken():
        yield table.to_batches()[0]
        raise RuntimeError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        arblast.cross_occurrence(pa.RecordBatchReader.from_batches(table.schema, broken()))
