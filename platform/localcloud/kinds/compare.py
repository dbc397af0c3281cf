"""What a comparison of what is wanted with what is there leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def only(there: Any, like: Any) -> Any:  # noqa: ANN401 - any JSON
    """Take from what is there the parts that `like` has: AWS tells its defaults too."""
    match there, like:
        case dict(), dict():
            return {key: only(there[key], like[key]) for key in like if key in there}
        case list(), list() if len(there) == len(like):
            return [only(one, alike) for one, alike in zip(there, like, strict=True)]
    return there


def in_order(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Sort the lists of texts: AWS takes them as sets."""
    return {key: sorted(value) if _are_texts(value) else value for key, value in properties.items()}


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
