"""The server of one verified copy of a version: a script of its own, run by `serve` after it has checked the copy.

It stands alone and imports nothing of this package, so that the code of the version is the code that answers.
"""

import argparse
import asyncio
import json
import logging
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

COLUMNS = ("prompt", "seconds", "seed")
FORMS = ("dataframe_split", "dataframe_records", "inputs")
MOST_BYTES = 2**20  # of a request's body: 64 prompts of 400 characters take less than 110 KB
MOST_CONNECTIONS = 64  # at once; more are answered 503
HEADER_SECONDS, BODY_SECONDS, READ_SECONDS = (
    10.0,
    20.0,
    60.0,
)  # a client may take for these parts of an exchange
log = logging.getLogger("hmu.serve")


class RefusedError(Exception):
    """A request that is not answered: status and one sentence."""

    def __init__(self, said: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(said)
        self.status = int(status)


@dataclass(frozen=True)
class AskedRows:
    """A request: rows of prompt, seconds and seed, as they were given, and parameters."""

    rows: list[dict[str, Any]]
    params: dict[str, Any] = field(default_factory=dict)


def parse(body: bytes, content_type: str | None) -> AskedRows:
    """Read a request strictly: nothing is converted, filled in or dropped; raises RefusedError with one sentence."""
    kind, _, options = (content_type or "").lower().partition(";")
    if kind.strip() != "application/json" or options.replace(" ", "") not in ("", "charset=utf-8"):
        raise RefusedError("send the header Content-Type: application/json")
    found = _json(body)
    if not isinstance(found, dict):
        raise RefusedError(f"the body must be a JSON object with one of {', '.join(FORMS)}")
    surplus = [name for name in found if name not in (*FORMS, "params")]
    if surplus:
        raise RefusedError(
            f"unknown entry {surplus[0][:40]!r}; a request has one of {', '.join(FORMS)}, and params"
        )
    forms = [name for name in FORMS if name in found]
    if len(forms) != 1:
        raise RefusedError(f"give one of {', '.join(FORMS)}, and not {len(forms)} of them")
    params = found.get("params")
    if params is not None and not isinstance(params, dict):
        raise RefusedError('params must be an object, such as {"output": "bvh"}')
    for name, value in (params or {}).items():
        if not isinstance(value, str):
            raise RefusedError(f"the parameter {name[:40]!r} must be text")
    return AskedRows(_rows(forms[0], found[forms[0]]), dict(params or {}))


def _json(body: bytes) -> Any:
    def no_constant(name: str) -> Any:
        raise RefusedError(f"{name} is no JSON")

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        named = dict(pairs)
        if len(named) != len(pairs):
            raise RefusedError("an entry is given twice")
        return named

    try:
        return json.loads(body.decode(), parse_constant=no_constant, object_pairs_hook=once)
    except UnicodeDecodeError as error:
        raise RefusedError("the body is not UTF-8") from error
    except RecursionError as error:
        raise RefusedError("the body is nested too deep") from error
    except json.JSONDecodeError as error:
        raise RefusedError(f"the body is not JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:  # Python reads no more than 4,300 digits
        raise RefusedError("a number has thousands of digits; the largest seed is 2**63 - 1") from error


def _rows(form: str, table: Any) -> list[dict[str, Any]]:
    """Read the rows of one of the three forms, each with its columns checked."""
    if form == "dataframe_split":
        rows = _split(table)
    elif form == "inputs" and isinstance(table, dict):
        rows = _columns(table)
    elif isinstance(table, list) and all(isinstance(row, dict) for row in table):
        rows = table
    else:
        raise RefusedError(f"{form} must be a list of rows, each an object of {', '.join(COLUMNS)}")
    for place, row in enumerate(rows):
        unknown = [name for name in row if name not in COLUMNS]
        if unknown:
            raise RefusedError(f"unknown column {unknown[0][:40]!r}; this model knows {', '.join(COLUMNS)}")
        for name in ("prompt", "seed"):
            if name not in row:
                raise RefusedError(f"row {place}: {name} is missing")
        if not isinstance(row["prompt"], str):
            raise RefusedError(f"row {place}: the prompt must be text")
        if not isinstance(row["seed"], int) or isinstance(row["seed"], bool):
            raise RefusedError(f"row {place}: the seed must be a whole number from 0 to 2**63 - 1")
        seconds = row.get("seconds")
        if seconds is not None and (not isinstance(seconds, int | float) or isinstance(seconds, bool)):
            raise RefusedError(f"row {place}: seconds must be a number, or null")
    return rows


def _split(table: Any) -> list[dict[str, Any]]:
    if not isinstance(table, dict) or not {"columns", "data"} <= table.keys() <= {"columns", "data", "index"}:
        raise RefusedError("dataframe_split must be an object of columns and data, and index where wanted")
    columns, data = table["columns"], table["data"]
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RefusedError("columns must be a list of names")
    if len(set(columns)) != len(columns):
        raise RefusedError("a column is named twice")
    if not isinstance(data, list) or not all(
        isinstance(row, list) and len(row) == len(columns) for row in data
    ):
        raise RefusedError(f"data must be a list of rows of {len(columns)} values, one per column")
    index = table.get("index", data)
    if not isinstance(index, list) or len(index) != len(data):
        raise RefusedError(f"index must be a list of {len(data)} entries, one per row of data")
    return [dict(zip(columns, row, strict=True)) for row in data]


def _columns(table: dict[str, Any]) -> list[dict[str, Any]]:
    """One row as an object of values, or several as an object of lists."""
    lists = [value for value in table.values() if isinstance(value, list)]
    if not lists:
        return [table]
    if len(lists) != len(table) or len({len(one) for one in lists}) != 1:
        raise RefusedError("inputs must hold one value of each column, or lists of one length")
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


class Service:
    """An ASGI application that answers with one model, one request at a time.

    answer: rows and parameters to predictions; raises RefusedError. about: what GET /version says.
    """

    def __init__(self, answer: Callable[[AskedRows], list[Any]], about: Mapping[str, Any]) -> None:
        self._answer, self._about = answer, dict(about)
        self._worker = ThreadPoolExecutor(1)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            status, content = HTTPStatus.OK, await self._respond(scope, receive)
        except RefusedError as error:
            status, content = HTTPStatus(error.status), _dumped({"error": str(error)})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _respond(self, scope: Any, receive: Any) -> bytes:
        method, path = scope["method"], scope["path"]
        known = {"/ping": "GET", "/health": "GET", "/version": "GET", "/invocations": "POST"}
        if path not in known:
            raise RefusedError(f"there is no such page; there are {', '.join(known)}", HTTPStatus.NOT_FOUND)
        if method != known[path]:
            raise RefusedError(f"{path} takes {known[path]}", HTTPStatus.METHOD_NOT_ALLOWED)
        if method == "GET":
            return _dumped(self._about if path == "/version" else {"status": "ok"})
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            body = await asyncio.wait_for(_body(headers, receive), BODY_SECONDS)
        except TimeoutError as error:
            raise RefusedError(f"the body took more than {BODY_SECONDS:.0f} s", 408) from error
        asked = parse(body, headers.get("content-type"))
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._predicted, asked)

    def _predicted(self, asked: AskedRows) -> bytes:
        return _dumped({"predictions": self._answer(asked)})


async def _body(headers: Mapping[str, str], receive: Any) -> bytes:
    too_large = RefusedError(f"the body has more than {MOST_BYTES} bytes", 413)
    length = headers.get("content-length", "0")
    if length.isdecimal() and (len(length) > 12 or int(length) > MOST_BYTES):
        raise too_large
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError("the client has gone")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise too_large
        if not message.get("more_body"):
            return b"".join(parts)


def _dumped(value: Any) -> bytes:
    return json.dumps(value, default=lambda array: array.tolist(), allow_nan=False).encode()


def protocol() -> Any:
    """Return uvicorn's protocol with an end to waiting: for headers, and for a client that does not read."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patience(H11Protocol):
        """A connection that is cut when its client takes too long."""

        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait(HEADER_SECONDS)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            busy = self.cycle is not None and not self.cycle.response_complete
            if busy:
                self._wait(None)
            elif self._timer is None:  # part of the next request's headers
                self._wait(HEADER_SECONDS)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._wait(READ_SECONDS)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._wait(None)

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait(None)
            super().connection_lost(exc)

        def _wait(self, seconds: float | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    return Patience


def answering(folder: Path, device: str, rule: Sequence[str]) -> Callable[[AskedRows], list[Any]]:
    """Load the model of a verified copy; rule: concept, rule, dataset and file of concepts to refuse, or nothing."""
    import mlflow.pyfunc
    import pandas as pd
    from mlflow.exceptions import MlflowException

    model = mlflow.pyfunc.load_model(str(folder), model_config={"device": device}, suppress_warnings=True)
    named = concept_rule(*rule) if rule else None
    refused = 0

    def answer(asked: AskedRows) -> list[Any]:
        nonlocal refused
        if named is not None and (found := named([str(row["prompt"]) for row in asked.rows])):
            refused += 1
            place, words = found
            log.warning(
                "refused for the concept %s (%s); %d requests so far", rule[0], ", ".join(words), refused
            )
            raise RefusedError(
                f"row {place}: the prompt asks for {rule[0]} ({', '.join(words)}), which this server refuses",
                HTTPStatus.UNPROCESSABLE_ENTITY,
            )
        table = pd.DataFrame(asked.rows, columns=list(COLUMNS), dtype=object)
        try:
            found_motions: list[Any] = model.predict(table, params=asked.params or None)
        except MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise RefusedError(str(error.message)) from error
            raise
        return found_motions

    return answer


def concept_rule(
    name: str, rule: str, dataset: str, file: str
) -> Callable[[list[str]], tuple[int, tuple[str, ...]] | None]:
    """Return a function from prompts to the first that a concept's rule finds, and the words by which."""
    from hmu_tasks.data.concepts.concepts import CONCEPTS_FILE, load_concept
    from hmu_tasks.data.concepts.matching import match

    concept = load_concept(name, Path(file) if file else CONCEPTS_FILE)

    def found(prompts: list[str]) -> tuple[int, tuple[str, ...]] | None:
        table = {"caption": [one.lower() for one in prompts], "tokens": [""] * len(prompts)}
        hits = match(table, concept, dataset=dataset, rule=rule)
        return next(((place, words) for place, words in enumerate(hits) if words), None)

    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop; the copy is removed at the end."""
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copy", type=Path, required=True)
    parser.add_argument("--about", default="{}")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--refuse", nargs=4, default=())
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # also while the model is loaded
    try:
        answer = answering(given.copy / "model", given.device, given.refuse)
        log.info("serving %s on http://%s:%d", given.about, given.host, given.port)
        uvicorn.run(
            Service(answer, json.loads(given.about)),
            host=given.host,
            port=given.port,
            http=protocol(),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=16 * 2**10,
        )
    finally:
        shutil.rmtree(given.copy, ignore_errors=True)


if __name__ == "__main__":
    main()
