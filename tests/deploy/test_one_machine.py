"""deploy/one-machine: everything in one process and its home."""

import json
import shlex

from conftest import ARBLAST, Clients, Machine, ask, names_stored, text_of
from parts import free_port


def test_a_killed_server_loses_nothing(tmp_path, shop, parts):
    events, queries = free_port(), free_port()
    machine = Machine(tmp_path, shop, ARBLAST_CONFIG=tmp_path / "arblast.json")
    settings = text_of("one-machine/arblast.json", {"7070": events, "8000": queries})
    (tmp_path / "arblast.json").write_text(settings)
    machine.run("app", "new", "shop", "--access-key", "the-key")
    machine.start("serve", queries, "serve")
    code, answer = ask(queries, "POST", "/queries.json", {"user": "maya"})
    assert code == 503, answer
    for line in (shop / "events.jsonl").read_text().splitlines()[:50]:
        code, answer = ask(events, "POST", "/events.json?accessKey=the-key", json.loads(line))
        assert code == 201, answer
    machine.run("import", "--app", "shop", "--input", "events.jsonl")
    # What cron runs, word by word.
    line = text_of("one-machine/train.cron", {"/etc/arblast\n": f"{shop}\n"}).splitlines()[-1]
    words = shlex.split(line.split("arblast ", 1)[1])
    assert words[0] == "arblast", line
    machine.run(*words[1:])
    clients = parts.add(Clients([{"events": events, "queries": queries}], "the-key"))

    def kill_and_start():
        machine.kill("serve")
        machine.start("serve", queries, "serve")

    clients.lose("the server", kill_and_start)
    clients.stop()
    assert names_stored(events, "the-key") == sorted(clients.acknowledged)
    machine.stop()
