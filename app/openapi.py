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

from app.answers import HealthAnswer, PageAnswer, PredictionAnswer, ProblemAnswer, ReadinessAnswer
from app.problems import PROBLEMS
from app.submission import IDEMPOTENCY_KEY
from app.uploads import FILE_FIELD
from predictions.record import PredictionId, Status

_MODELS = (PredictionAnswer, PageAnswer, ProblemAnswer, HealthAnswer, ReadinessAnswer)
_ID = TypeAdapter(PredictionId).json_schema()
_BINARY = {"type": "string", "format": "binary"}


@cache
def as_json() -> str:
    """Return the document as JSON."""
    return json.dumps(document())


def document() -> dict[str, Any]:
    """Build the document."""
    _, schemas = models_json_schema(
        [(model, "serialization") for model in _MODELS],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RetainWise",
            "version": version("retainwise"),
            "description": "Upload a file of customers; get back who is likely to leave, and why.",
        },
        "paths": _paths(),
        "components": {"schemas": schemas["$defs"]},
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
                    **_problems(400, 403, 413, 415, 422),
                },
                parameters=[_idempotency_key(), _file_name()],
                requestBody=_upload(),
            ),
            "get": _operation(
                "listPredictions",
                "The account's predictions, newest first",
                {"200": _answer("One page.", PageAnswer), **_problems(400)},
                parameters=[
                    _query("status", {"type": "string", "enum": list(Status)}),
                    _query("cursor", _ID),
                ],
            ),
        },
        one: {
            "parameters": an_id,
            "get": _operation(
                "getPrediction",
                "One prediction as it is now",
                {"200": _answer("The prediction.", PredictionAnswer), **_problems(404)},
            ),
            "delete": _operation(
                "deletePrediction",
                "Delete a prediction: unreachable at once, its files erased within a day",
                {"204": {"description": "It is gone."}, **_problems(403, 404)},
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
                    **_problems(404, 409),
                },
            ),
        },
        f"{one}/retry": {
            "parameters": an_id,
            "post": _operation(
                "retryPrediction",
                "Queue a failed prediction again",
                {
                    "202": _answer("It is queued again.", PredictionAnswer),
                    **_problems(403, 404, 409),
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
            )
        },
        "/healthz": {
            "get": _operation(
                "getHealth",
                "Whether the process answers",
                {"200": _answer("It does.", HealthAnswer)},
            )
        },
        "/readyz": {
            "get": _operation(
                "getReadiness",
                "Whether the service can do its work, by dependency",
                {
                    "200": _answer("It can.", ReadinessAnswer),
                    "503": _answer("It cannot; `dependencies` says why.", ReadinessAnswer),
                },
            )
        },
    }


def _operation(
    name: str, summary: str, responses: dict[str, Any], **more: object
) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": responses, **more}


def _answer(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    """Describe refusals by status, with the codes that each may carry; any call may fail."""
    return {
        str(status): {
            "description": "; ".join(
                f"`{code}`: {title}" for code, (of, title) in PROBLEMS.items() if of == status
            ),
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/ProblemAnswer"}
                }
            },
        }
        | ({"headers": {"Retry-After": _retry_after()}} if status in {429, 503} else {})
        for status in (*statuses, 429, 500, 503)
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
