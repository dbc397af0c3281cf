"""The API's OpenAPI 3.1 document, made from the models that the code answers with.

Paths are written here by hand; that they are the app's, and that the app keeps to them, is tested.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from app.actions import LONGEST_PAGE, USUAL_PAGE
from app.answers import (
    ColumnsAnswer,
    HealthAnswer,
    MatchesRequest,
    PageAnswer,
    PredictionAnswer,
    ProblemAnswer,
    ReadinessAnswer,
    RowErrorsAnswer,
)
from app.api_tokens import VALID_DAYS
from app.problems import PROBLEMS
from app.submission import IDEMPOTENCY_KEY
from app.uploads import FILE_FIELD
from predictions.record import PredictionId, Status

_ANSWERS = (
    PredictionAnswer,
    PageAnswer,
    RowErrorsAnswer,
    ColumnsAnswer,
    ProblemAnswer,
    HealthAnswer,
    ReadinessAnswer,
)
_ANYWHERE = ("bad-request", "untrusted-host")
"""What any call may be refused for: the name of the host that it asks for."""
_ID = TypeAdapter(PredictionId).json_schema()
_LIMIT = {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": USUAL_PAGE}
_BINARY = {"type": "string", "format": "binary"}
_SCHEME = "apiToken"
_FOR_ANYBODY: list[dict[str, list[str]]] = []


@cache
def as_json(*, needs_token: bool) -> str:
    """Return the document as JSON."""
    return json.dumps(document(needs_token=needs_token))


def document(*, needs_token: bool) -> dict[str, Any]:
    """Build the document.

    needs_token: whether callers need a token; the demo account's do not.
    """
    _, schemas = models_json_schema(
        [*((model, "serialization") for model in _ANSWERS), (MatchesRequest, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RetainWise",
            "version": version("retainwise"),
            "description": (
                "Upload a file of customers; get back who is likely to leave, and why. An account "
                "may make so many calls and uploads a minute; each web task counts for itself."
            ),
        },
        "paths": _paths(),
        "components": {"schemas": schemas["$defs"], "securitySchemes": {_SCHEME: _token()}},
        "security": [{_SCHEME: []}] if needs_token else [],
    }


def _paths() -> dict[str, Any]:
    one, an_id = "/api/predictions/{prediction_id}", [_path_id()]
    return {
        "/api/predictions": {
            "post": _operation(
                "createPrediction",
                "Upload a file and queue its prediction",
                {
                    "202": _answer("It is queued.", PredictionAnswer)
                    | {"headers": {"Location": _header("Where the prediction is.")}},
                    **_problems(400, 401, 403, 413, 415, 422),
                },
                parameters=[_idempotency_key(), _file_name()],
                requestBody=_upload(),
            ),
            "get": _operation(
                "listPredictions",
                "The account's predictions, newest first",
                {
                    "200": _answer("One page.", PageAnswer)
                    | {"headers": {"Link": _header("The next page, `rel=next`; none: the last.")}},
                    **_problems(400, 401),
                },
                parameters=[
                    _query("status", {"type": "string", "enum": list(Status)}),
                    _query("cursor", _ID),
                    _query("limit", _LIMIT),
                ],
            ),
        },
        one: {
            "parameters": an_id,
            "get": _operation(
                "getPrediction",
                "One prediction as it is now",
                {"200": _answer("The prediction.", PredictionAnswer), **_problems(401, 404)},
            ),
            "delete": _operation(
                "deletePrediction",
                "Delete a prediction: unreachable at once, its files erased within a day",
                {"204": {"description": "It is gone."}, **_problems(401, 403, 404)},
            ),
        },
        f"{one}/result.csv": {
            "parameters": an_id,
            "get": _operation(
                "downloadResult",
                "The scored file: one row for each row of the upload, in its order",
                {
                    "200": {
                        "description": "The file.",
                        "content": {"text/csv": {"schema": _BINARY}},
                        "headers": {"Content-Disposition": _header("Its name.")},
                    },
                    **_problems(401, 404, 409),
                },
            ),
        },
        f"{one}/row-errors": {
            "parameters": an_id,
            "get": _operation(
                "getRowErrors",
                "Why rows of a COMPLETED prediction have no score",
                {"200": _answer("They are these.", RowErrorsAnswer), **_problems(401, 404, 409)},
            ),
        },
        f"{one}/retry": {
            "parameters": an_id,
            "post": _operation(
                "retryPrediction",
                "Queue a failed prediction again",
                {
                    "202": _answer("It is queued again.", PredictionAnswer),
                    **_problems(401, 403, 404, 409),
                },
            ),
        },
        "/api/columns": {
            "get": _operation(
                "getColumns",
                "What a file must have, and what the account calls it",
                {"200": _answer("The columns.", ColumnsAnswer), **_problems(401)},
            ),
        },
        "/api/columns/matches": {
            "put": _operation(
                "matchColumns",
                "Say what the account calls the model's columns",
                {
                    "200": _answer("The columns as they are matched now.", ColumnsAnswer),
                    **_problems(400, 401, 403, 413, 415, 422),
                },
                requestBody={
                    "required": True,
                    "content": {"application/json": {"schema": _ref(MatchesRequest)}},
                },
            ),
        },
        "/api/openapi.json": {
            "get": _operation(
                "getOpenApi",
                "This document",
                {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    **_problems(),
                },
                security=_FOR_ANYBODY,
            )
        },
        "/healthz": {
            "get": _operation(
                "getHealth",
                "Whether the process answers",
                {"200": _answer("It does.", HealthAnswer), **_problem(400, *_ANYWHERE)},
                security=_FOR_ANYBODY,
            )
        },
        "/readyz": {
            "get": _operation(
                "getReadiness",
                "Whether the service can do its work, by dependency",
                {
                    "200": _answer("It can.", ReadinessAnswer),
                    "503": _answer("It cannot; `dependencies` says why.", ReadinessAnswer),
                    **_problem(400, *_ANYWHERE),
                },
                security=_FOR_ANYBODY,
            )
        },
    }


def _operation(
    name: str, summary: str, responses: dict[str, Any], **more: object
) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": responses, **more}


def _answer(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(model)}}}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _problems(*statuses: int) -> dict[str, Any]:
    """Describe refusals by status, with the codes that each may carry; any call may fail."""
    described = _problem(400, *_ANYWHERE)
    for status in (*statuses, 429, 500, 503):
        described |= _problem(status, *(c for c, (of, _) in PROBLEMS.items() if of == status))
    return described


def _problem(status: int, *codes: str) -> dict[str, Any]:
    """Describe the refusals of one status."""
    answer = {
        "description": "; ".join(f"`{code}`: {PROBLEMS[code][1]}" for code in codes),
        "content": {"application/problem+json": {"schema": _ref(ProblemAnswer)}},
    }
    return {str(status): answer | _headers_of(status)}


def _headers_of(status: int) -> dict[str, Any]:
    if status == 401:
        return {"headers": {"WWW-Authenticate": _header("`Bearer`.")}}
    return {"headers": {"Retry-After": _retry_after()}} if status in {429, 503} else {}


def _token() -> dict[str, str]:
    return {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "An API token (`rw_…`). Whoever is signed in makes one on the page “API access”. It "
            f"is valid for {VALID_DAYS} days and acts for the account of the one who made it."
        ),
    }


def _retry_after() -> dict[str, Any]:
    return {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 1},
    }


def _upload() -> dict[str, Any]:
    form = {
        "type": "object",
        "properties": {FILE_FIELD: _BINARY},
        "required": [FILE_FIELD],
    }
    return {
        "required": True,
        "content": {"multipart/form-data": {"schema": form}, "text/csv": {"schema": _BINARY}},
    }


def _path_id() -> dict[str, Any]:
    return {"name": "prediction_id", "in": "path", "required": True, "schema": _ID}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _file_name() -> dict[str, Any]:
    return _query("name", {"type": "string"}) | {"description": "The name of a text/csv body."}


def _idempotency_key() -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
        "description": "The same key with the same file gives the same prediction for a day.",
    }


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
