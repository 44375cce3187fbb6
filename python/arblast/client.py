"""Clients of the event server and the query server with the calls of the `predictionio` package, by the standard library alone.

    events = EventClient(access_key=KEY, url="http://localhost:7070")
    events.record_user_action_on_item("purchase", "maya", "tent")
    EngineClient(url="http://localhost:8000").send_query({"user": "maya", "num": 4})

Calls that begin with `a` return at once; `get_response()` of what they give waits. A client may be shared by threads.
"""

import http.client
import json
import queue
import select
import ssl
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Callable
from urllib.parse import quote, urlencode, urlsplit

__all__ = [
    "EngineClient", "EventClient", "FileExporter", "InvalidArgumentError", "NotCreatedError", "NotFoundError", "PredictionIOAPIError",
]


class PredictionIOAPIError(Exception):
    """A server refused, or could not be reached."""


class NotCreatedError(PredictionIOAPIError):
    """An event was not stored, or a query not answered."""


class NotFoundError(PredictionIOAPIError):
    """What was asked for is not there, or could not be had."""


class InvalidArgumentError(PredictionIOAPIError):
    """An argument is wrong."""


class Response:
    """The answer of a server: `status`, `headers`, `body` (text), `json_body` (None if it is no JSON); or `error`, if there was none."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.status: int | None = None
        self.reason: str | None = None
        self.headers: dict[str, str] = {}
        self.body: str | None = None
        self.json_body: Any = None
        self.request: "Request | None" = None


class Request:
    """A request under way."""

    def __init__(self, method: str, path: str, body: Any, read: Callable[[Response], Any]):
        self.method, self.path, self.body = method, path, body
        self._read = read
        self._done = threading.Event()
        self._response: Response | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path.split('?')[0]}"  # the rest has the access key

    def set_response(self, response: Response) -> None:
        """Called once, when the answer is there."""
        response.request = self
        self._response = response
        self._done.set()

    def get_response(self) -> Any:
        """Waits for the answer; raises what the call without `a` raises."""
        self._done.wait()
        assert self._response is not None
        return self._read(self._response)


class _Connection:
    """Some threads, each with a connection that is kept open, and a queue of requests before them."""

    def __init__(self, url: str, threads: int, qsize: int, timeout: float):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidArgumentError(f"url is not valid: {url}")
        self._tls, self._host, self._port, self._base = parts.scheme == "https", parts.hostname, parts.port, parts.path.rstrip("/")
        self._timeout = timeout
        self._queue: "queue.Queue[Request | None]" = queue.Queue(qsize)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def put(self, request: Request) -> None:
        if not self._threads:
            raise PredictionIOAPIError("the client is closed")
        self._queue.put(request)

    def pending(self) -> int:
        return self._queue.unfinished_tasks

    def close(self) -> None:
        """Waits until all requests are answered."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()

    def _open(self) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _work(self) -> None:
        connection = self._open()
        while (request := self._queue.get()) is not None:
            request.set_response(self._answer(connection, request))
            self._queue.task_done()
        self._queue.task_done()
        connection.close()

    def _answer(self, connection: http.client.HTTPConnection, request: Request) -> Response:
        response = Response()
        try:
            # What can be read before anything was asked is the end: the server has closed a connection that nobody used for a while.
            if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
                connection.close()
            self._exchange(connection, request, response)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            response.error = error
        return response

    def _exchange(self, connection: http.client.HTTPConnection, request: Request, response: Response) -> None:
        body = None if request.body is None else json.dumps(request.body).encode()
        headers = {} if body is None else {"Content-Type": "application/json; charset=utf-8"}
        connection.request(request.method, self._base + request.path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        response.status, response.reason, response.headers, response.body = answer.status, answer.reason, dict(answer.headers), text
        try:
            response.json_body = json.loads(text)
        except ValueError:
            response.json_body = None


class _Client:
    def __init__(self, url: str, threads: int = 1, qsize: int = 0, timeout: float = 5):
        self.url, self.threads, self.qsize, self.timeout = url, threads, qsize, timeout
        self._connection = _Connection(url, threads, qsize, timeout)

    def close(self) -> None:
        """Waits for all requests under way, and closes the connections."""
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def pending_requests(self) -> int:
        """How many requests have no answer yet."""
        return self._connection.pending()

    def get_status(self) -> Any:
        """What the server says of itself. Raises NotFoundError."""
        return self._send("GET", "/", None, _found).get_response()

    def _send(self, method: str, path: str, body: Any, read: Callable[[Response], Any]) -> Request:
        request = Request(method, path, body, read)
        self._connection.put(request)
        return request


def _checked(response: Response, status: int, error: type[PredictionIOAPIError]) -> Response:
    if response.error is not None:
        raise error(f"{response.request}: {response.error}") from response.error
    if response.status != status:
        raise error(f"{response.request}: status {response.status}: {response.body}")
    return response


def _created(response: Response) -> Response:
    return _checked(response, 201, NotCreatedError)


def _found(response: Response) -> Any:
    return _checked(response, 200, NotFoundError).json_body


def _deleted(response: Response) -> str | None:
    return _checked(response, 200, NotFoundError).body


def _answered(response: Response) -> Any:
    return _checked(response, 200, NotCreatedError).json_body


def _time_text(when: datetime | None) -> str:
    if when is None:
        when = datetime.now(timezone.utc)
    if not isinstance(when, datetime):
        raise AttributeError("event_time must be datetime.datetime")
    if when.tzinfo is None:
        raise AttributeError("event_time must have tzinfo")
    return when.isoformat(timespec="milliseconds")


def _event(event, entity_type, entity_id, target_entity_type, target_entity_id, properties, event_time) -> dict[str, Any]:
    members = {
        "event": event, "entityType": entity_type, "entityId": entity_id, "targetEntityType": target_entity_type,
        "targetEntityId": target_entity_id, "properties": properties, "eventTime": _time_text(event_time),
    }
    return {name: value for name, value in members.items() if value is not None}


class EventClient(_Client):
    """Sends events, and reads and deletes them. `channel`: name of a channel of the key's app. `threads`: connections that
    calls with an `a` share; `qsize`: so many may wait [0: any number]; `timeout`: seconds."""

    def __init__(
        self, access_key: str, url: str = "http://localhost:7070", threads: int = 1, qsize: int = 0, timeout: float = 5,
        channel: str | None = None,
    ):
        if not isinstance(access_key, str):
            raise InvalidArgumentError("access_key must be a text")
        super().__init__(url, threads, qsize, timeout)
        self.access_key, self.channel = access_key, channel

    def _path(self, path: str, **words: Any) -> str:
        words = {"accessKey": self.access_key, "channel": self.channel, **words}
        return f"{path}?{urlencode({name: value for name, value in words.items() if value is not None})}"

    def acreate_event(
        self, event: str, entity_type: str, entity_id: str, target_entity_type: str | None = None, target_entity_id: str | None = None,
        properties: Mapping[str, Any] | None = None, event_time: datetime | None = None,
    ) -> Request:
        """`create_event`, without waiting."""
        body = _event(event, entity_type, entity_id, target_entity_type, target_entity_id, properties, event_time)
        return self._send("POST", self._path("/events.json"), body, _created)

    def create_event(self, *words: Any, **named: Any) -> Response:
        """Stores an event: event, entity_type, entity_id, then maybe target_entity_type, target_entity_id, properties, event_time (with a
        time zone). When it returns the event is durable, and `json_body["eventId"]` is its id. Raises NotCreatedError."""
        return self.acreate_event(*words, **named).get_response()

    def acreate_events(self, events: list[Mapping[str, Any]]) -> Request:
        """`create_events`, without waiting."""
        return self._send("POST", self._path("/batch/events.json"), events, _answered)

    def create_events(self, events: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Stores up to 50 events, given as event JSON; per event its status and id. Raises NotCreatedError."""
        return self.acreate_events(events).get_response()

    def aget_event(self, event_id: str) -> Request:
        """`get_event`, without waiting."""
        return self._send("GET", self._path(f"/events/{quote(event_id, '')}.json"), None, _found)

    def get_event(self, event_id: str) -> dict[str, Any]:
        """The event with this id. Raises NotFoundError."""
        return self.aget_event(event_id).get_response()

    def aget_events(
        self, startTime: str | None = None, untilTime: str | None = None, entityType: str | None = None, entityId: str | None = None,
        limit: int | None = None, reversed: bool = False, **words: Any,
    ) -> Request:
        """`get_events`, without waiting."""
        turned = "true" if reversed else None
        path = self._path(
            "/events.json", startTime=startTime, untilTime=untilTime, entityType=entityType, entityId=entityId, limit=limit,
            reversed=turned, **words,
        )
        return self._send("GET", path, None, _found)

    def get_events(self, *words: Any, **named: Any) -> list[dict[str, Any]]:
        """Events, oldest first [20; limit=-1: all], of a time or an entity. `reversed` needs an entity. Raises NotFoundError."""
        return self.aget_events(*words, **named).get_response()

    def adelete_event(self, event_id: str) -> Request:
        """`delete_event`, without waiting."""
        return self._send("DELETE", self._path(f"/events/{quote(event_id, '')}.json"), None, _deleted)

    def delete_event(self, event_id: str) -> Any:
        """Deletes an event. Raises NotFoundError."""
        return self.adelete_event(event_id).get_response()

    def aset_user(self, uid: str, properties: Mapping[str, Any] | None = None, event_time: datetime | None = None) -> Request:
        """`set_user`, without waiting."""
        return self.acreate_event("$set", "user", uid, properties=properties or {}, event_time=event_time)

    def set_user(self, uid: str, properties: Mapping[str, Any] | None = None, event_time: datetime | None = None) -> Response:
        """Sets properties of a user."""
        return self.aset_user(uid, properties, event_time).get_response()

    def aunset_user(self, uid: str, properties: Mapping[str, Any], event_time: datetime | None = None) -> Request:
        """`unset_user`, without waiting."""
        return self.acreate_event("$unset", "user", uid, properties=properties, event_time=event_time)

    def unset_user(self, uid: str, properties: Mapping[str, Any], event_time: datetime | None = None) -> Response:
        """Removes properties of a user."""
        return self.aunset_user(uid, properties, event_time).get_response()

    def adelete_user(self, uid: str, event_time: datetime | None = None) -> Request:
        """`delete_user`, without waiting."""
        return self.acreate_event("$delete", "user", uid, event_time=event_time)

    def delete_user(self, uid: str, event_time: datetime | None = None) -> Response:
        """Removes what was set of a user; what he did stays."""
        return self.adelete_user(uid, event_time).get_response()

    def aset_item(self, iid: str, properties: Mapping[str, Any] | None = None, event_time: datetime | None = None) -> Request:
        """`set_item`, without waiting."""
        return self.acreate_event("$set", "item", iid, properties=properties or {}, event_time=event_time)

    def set_item(self, iid: str, properties: Mapping[str, Any] | None = None, event_time: datetime | None = None) -> Response:
        """Sets properties of an item."""
        return self.aset_item(iid, properties, event_time).get_response()

    def aunset_item(self, iid: str, properties: Mapping[str, Any], event_time: datetime | None = None) -> Request:
        """`unset_item`, without waiting."""
        return self.acreate_event("$unset", "item", iid, properties=properties, event_time=event_time)

    def unset_item(self, iid: str, properties: Mapping[str, Any], event_time: datetime | None = None) -> Response:
        """Removes properties of an item."""
        return self.aunset_item(iid, properties, event_time).get_response()

    def adelete_item(self, iid: str, event_time: datetime | None = None) -> Request:
        """`delete_item`, without waiting."""
        return self.acreate_event("$delete", "item", iid, event_time=event_time)

    def delete_item(self, iid: str, event_time: datetime | None = None) -> Response:
        """Removes an item from recommendations; what users did with it stays."""
        return self.adelete_item(iid, event_time).get_response()

    def arecord_user_action_on_item(
        self, action: str, uid: str, iid: str, properties: Mapping[str, Any] | None = None, event_time: datetime | None = None
    ) -> Request:
        """`record_user_action_on_item`, without waiting."""
        return self.acreate_event(action, "user", uid, "item", iid, properties or {}, event_time)

    def record_user_action_on_item(
        self, action: str, uid: str, iid: str, properties: Mapping[str, Any] | None = None, event_time: datetime | None = None
    ) -> Response:
        """A user did something with an item."""
        return self.arecord_user_action_on_item(action, uid, iid, properties, event_time).get_response()


class EngineClient(_Client):
    """Asks a query server."""

    def __init__(self, url: str = "http://localhost:8000", threads: int = 1, qsize: int = 0, timeout: float = 5):
        super().__init__(url, threads, qsize, timeout)

    def asend_query(self, data: Mapping[str, Any]) -> Request:
        """`send_query`, without waiting."""
        return self._send("POST", "/queries.json", dict(data), _answered)

    def send_query(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a query, e.g. `{"itemScores": [{"item": …, "score": …}]}`. Raises NotCreatedError."""
        return self.asend_query(data).get_response()


class FileExporter:
    """Writes events to a file for `arblast import`, one a line."""

    def __init__(self, file_name: str):
        self._file = open(file_name, "w", encoding="utf-8")

    def create_event(
        self, event: str, entity_type: str, entity_id: str, target_entity_type: str | None = None, target_entity_id: str | None = None,
        properties: Mapping[str, Any] | None = None, event_time: datetime | None = None,
    ) -> None:
        """Appends an event."""
        members = _event(event, entity_type, entity_id, target_entity_type, target_entity_id, properties, event_time)
        self._file.write(json.dumps(members) + "\n")

    def close(self) -> None:
        """To be called at the end."""
        self._file.close()
