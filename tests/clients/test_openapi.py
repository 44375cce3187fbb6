"""Both servers against their OpenAPI documents: schemathesis makes requests, valid and invalid ones, of what the documents say."""

import json
import time
from base64 import b64encode
from pathlib import Path

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

HTTP = Path(__file__).resolve().parents[2] / "native/arblast/src/http"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES_MAX = 10
SEED = 4


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """A text as it is, and the lines of anything else."""
    if isinstance(value, (str, bytes)):
        return value if isinstance(value, bytes) else value.encode()
    return "\n".join(json.dumps(line) for line in (value if isinstance(value, list) else [value])).encode()


def document(server):
    # Keys come with each request; made up ones would be all that a server ever looks at.
    generation = {"with-security-parameters": False, "deterministic": True, "max-examples": EXAMPLES_MAX}
    config = schemathesis.Config.from_dict({"seed": SEED, "generation": generation})
    return schemathesis.openapi.from_path(HTTP / server / "openapi.json", config=config)


bounded = hypothesis.settings(
    max_examples=EXAMPLES_MAX, derandomize=True, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)
events = document("events")
# What would end the server, or make it train again and again beside the other tests.
queries = document("queries").exclude(path="/stop").exclude(path="/reload").exclude(path="/engines/{id}/jobs", method="POST")


def basic(shop):
    return {"Authorization": "Basic " + b64encode(f"{shop.access_key}:".encode()).decode()}


def bearer(shop):
    return {"Authorization": f"Bearer {shop.access_key}"}


@events.parametrize()
@bounded
def test_event_server(case, shop, event_server):
    # A made up channel is unknown: 401, whatever else the request asks for.
    case.query.pop("channel", None)
    case.call_and_validate(base_url=event_server, headers=basic(shop), checks=CHECKS)


@queries.parametrize()
@bounded
def test_query_server(case, shop, query_server):
    case.call_and_validate(base_url=query_server, headers=bearer(shop), checks=CHECKS)


@pytest.mark.parametrize("server", ["events", "queries"])
def test_the_servers_show_their_documents(server, event_server, query_server):
    shown = requests.get({"events": event_server, "queries": query_server}[server] + "/openapi.json", timeout=60)
    assert shown.headers["Content-Type"] == "application/json"
    assert shown.json() == json.loads((HTTP / server / "openapi.json").read_text())


def asked(schema, url, headers, method, path, status, **what):
    """A request that gets this status, and an answer as the document says."""
    case = schema[path][method].Case(**what)
    checks = [check for check in CHECKS if status < 500 or check is not not_a_server_error]
    answer = case.call_and_validate(base_url=url, headers=headers, checks=checks)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_what_succeeds_at_the_event_server_is_as_documented(shop, event_server):
    def ask(*words, **what):
        return asked(events, event_server, basic(shop), *words, **what)

    event = {"event": "view", "entityType": "user", "entityId": "openapi", "targetEntityType": "item", "targetEntityId": "i"}
    liked = {"event": "$set", "entityType": "user", "entityId": "openapi", "properties": {"likes": ["tea", 1]}}
    sent = {"body": event, "media_type": "application/json"}
    stored = ask("POST", "/events.json", 201, **sent)
    ask("POST", "/batch/events.json", 200, body=[liked, {"event": ""}], media_type="application/json")
    entity = {"path_parameters": {"entityType": "user", "entityId": "openapi"}}
    one = {"path_parameters": stored}
    assert ask("GET", "/events/{eventId}.json", 200, **one)["entityId"] == "openapi"
    assert len(ask("GET", "/events.json", 200, query={"entityId": "openapi"})) == 2
    assert ask("GET", "/entities/{entityType}/{entityId}.json", 200, **entity)["properties"] == liked["properties"]
    assert len(ask("GET", "/entities/{entityType}/{entityId}/events.json", 200, **entity)) == 2
    for path, name in (("/webhooks/{name}.json", "segmentio"), ("/webhooks/{name}.form", "mailchimp")):
        kind, content = next(iter(events.raw_schema["paths"][path]["post"]["requestBody"]["content"].items()))
        ask("POST", path, 201, path_parameters={"name": name}, body=content["example"], media_type=kind)
    ask("GET", "/stats.json", 200)
    ask("DELETE", "/events/{eventId}.json", 200, **one)
    assert ask("DELETE", "/entities/{entityType}/{entityId}.json", 200, **entity) == {"deleted": 1}


def test_what_succeeds_at_the_query_server_is_as_documented(shop, query_server):
    def ask(*words, **what):
        return asked(queries, query_server, bearer(shop), *words, **what)

    query = {"user": "openapi", "num": 2, "withRanks": True, "resultProps": ["*"], "explain": True}
    engine = {"id": ask("GET", "/engines", 200)[0]["engineId"]}
    assert len(ask("POST", "/queries.json", 200, body=query, media_type="application/json")["itemScores"]) == 2
    batch = [query, {"num": "many"}]
    assert ask("POST", "/batch/queries.json", 200, body=batch, media_type="application/json")[1]["status"] == 400
    of_engine = {"path_parameters": engine, "media_type": "application/json"}
    assert len(ask("POST", "/engines/{id}/queries", 200, body=query, **of_engine)["result"]) == 2
    event = {"event": "view", "entityType": "user", "entityId": "openapi-3", "targetEntityId": "i", "eventTime": "2026-01-31T12:00:00Z"}
    stored = ask("POST", "/engines/{id}/events", 201, body=event, **of_engine)
    ask("GET", "/engines/{id}/events/{event}", 200, path_parameters={**engine, "event": stored["eventId"]})
    user = {"path_parameters": {**engine, "user": "openapi-3"}}
    assert len(ask("GET", "/engines/{id}/entities/{user}", 200, **user)) == 1
    ask("DELETE", "/engines/{id}/entities/{user}", 200, **user)
    ask("GET", "/engines/{id}", 200, path_parameters=engine)
    job = ask("GET", "/engines/{id}/jobs", 200, path_parameters=engine)[0]["jobId"]
    ask("GET", "/engines/{id}/jobs/{job}", 200, path_parameters={**engine, "job": job})


def test_an_engine_comes_is_trained_and_goes_as_documented(shop, query_server):
    def ask(*words, **what):
        return asked(queries, query_server, bearer(shop), *words, media_type="application/json", **what)

    file = {**json.loads((shop.engine / "engine.json").read_text()), "id": "openapi"}
    engine = {"path_parameters": {"id": ask("POST", "/engines", 201, body=file)["engineId"]}}
    ask("POST", "/engines", 409, body=file)
    ask("PUT", "/engines/{id}", 200, body=file, **engine)
    ask("POST", "/engines/{id}/queries", 503, body={}, **engine)
    begun = ask("POST", "/engines/{id}/jobs", 202, body={"threads": 1}, **engine)["jobId"]
    job = {"path_parameters": {"id": "openapi", "job": begun}}
    deadline = time.monotonic() + 300
    while (status := ask("GET", "/engines/{id}/jobs/{job}", 200, **job)["status"]) == "executing":
        assert time.monotonic() < deadline, "the train does not end"
    assert status == "successful"
    ask("DELETE", "/engines/{id}/jobs/{job}", 409, **job)
    ask("POST", "/engines/{id}/queries", 200, body={}, **engine)
    ask("DELETE", "/engines/{id}", 200, **engine)
    ask("GET", "/engines/{id}", 404, **engine)
