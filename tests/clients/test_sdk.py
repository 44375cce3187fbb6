"""PredictionIO's Python SDK, unchanged."""

from datetime import datetime, timedelta

import predictionio
import pytest
import pytz


@pytest.fixture
def events(shop, event_server):
    client = predictionio.EventClient(access_key=shop.access_key, url=event_server, threads=2)
    yield client
    client.close()


def test_status(events, query_server):
    assert events.get_status()["status"] == "alive"
    assert predictionio.EngineClient(url=query_server).get_status() is not None


def test_an_event_comes_back_as_it_was_sent(events):
    when = datetime(2026, 5, 1, 12, 30, 15, 123000, tzinfo=pytz.timezone("Etc/GMT-2"))
    properties = {"rating": 4.5, "tags": ["a", "b"], "nested": {"deep": [1, None, True]}, "text": "größer"}
    sent = events.create_event("rate", "user", "sdk-1", "item", "i/1 ?", properties, when)
    found = events.get_event(sent.json_body["eventId"])
    assert found["event"] == "rate"
    assert (found["entityType"], found["entityId"]) == ("user", "sdk-1")
    assert (found["targetEntityType"], found["targetEntityId"]) == ("item", "i/1 ?")
    assert found["properties"] == properties
    assert found["eventTime"] == "2026-05-01T12:30:15.123+02:00"


def test_events_of_an_entity_in_order(events):
    start = datetime(2026, 1, 1, tzinfo=pytz.utc)
    sent = [events.acreate_event("view", "user", "sdk-2", "item", f"i{n}", event_time=start + timedelta(hours=n)) for n in range(30)]
    ids = [request.get_response().json_body["eventId"] for request in sent]
    found = events.get_events(entityType="user", entityId="sdk-2", limit=-1)
    assert [event["eventId"] for event in found] == ids
    newest = events.get_events(entityType="user", entityId="sdk-2", reversed=True, limit=3)
    assert [event["targetEntityId"] for event in newest] == ["i29", "i28", "i27"]
    since = events.get_events(startTime="2026-01-01T05:00:00.000Z", untilTime="2026-01-01T07:00:00.000Z", entityId="sdk-2")
    assert [event["targetEntityId"] for event in since] == ["i5", "i6"]


def test_deleted_events_are_gone(events):
    event_id = events.create_event("view", "user", "sdk-3", "item", "i").json_body["eventId"]
    events.delete_event(event_id)
    for again in (events.get_event, events.delete_event):
        with pytest.raises(predictionio.NotFoundError):
            again(event_id)


def test_the_sdks_short_forms(events):
    events.set_user("sdk-4", {"plan": "free"})
    events.unset_user("sdk-4", {"plan": None})
    events.delete_user("sdk-4")
    events.set_item("sdk-item", {"categories": ["climbing"]})
    events.record_user_action_on_item("view", "sdk-4", "sdk-item")
    names = [event["event"] for event in events.get_events(entityType="user", entityId="sdk-4", limit=-1)]
    assert sorted(names) == ["$delete", "$set", "$unset", "view"]


def test_what_is_refused_raises(shop, events, event_server):
    with pytest.raises(predictionio.NotCreatedError, match="400"):
        events.create_event("$increment", "user", "sdk-5")
    with pytest.raises(predictionio.NotCreatedError, match="401"):
        predictionio.EventClient(access_key="no such key at all", url=event_server).create_event("view", "user", "u")
    key = shop.arblast("accesskey", "new", "shop", "view").split("access key: ")[1].split()[0]
    narrow = predictionio.EventClient(access_key=key, url=event_server)
    assert narrow.create_event("view", "user", "sdk-5", "item", "i").status == 201
    with pytest.raises(predictionio.NotCreatedError, match="403"):
        narrow.create_event("purchase", "user", "sdk-5", "item", "i")


def test_channels_are_apart(shop, event_server):
    shop.arblast("app", "channel-new", "shop", "sdk")
    channel = predictionio.EventClient(access_key=shop.access_key, url=event_server, channel="sdk")
    event_id = channel.create_event("view", "user", "sdk-6", "item", "i").json_body["eventId"]
    assert channel.get_event(event_id)["entityId"] == "sdk-6"
    with pytest.raises(predictionio.NotFoundError):
        predictionio.EventClient(access_key=shop.access_key, url=event_server).get_event(event_id)


def test_queries_see_what_was_just_done(events, query_server):
    engine = predictionio.EngineClient(url=query_server)
    popular = engine.send_query({"user": "sdk-7", "num": 4})["itemScores"]
    assert all(scored["score"] == 0 for scored in popular)
    for item in ("Fernway Tent 2 Person", "Fernway Sleeping Mat"):
        events.record_user_action_on_item("purchase", "sdk-7", item)
    scored = engine.send_query({"user": "sdk-7", "num": 4})["itemScores"]
    assert scored[0]["score"] > 0
    assert "Fernway Tent 2 Person" not in [one["item"] for one in scored], "what was bought is not recommended"


def test_a_wrong_query_raises(query_server):
    with pytest.raises(predictionio.PredictionIOAPIError):
        predictionio.EngineClient(url=query_server).send_query({"num": -1})
