"""`aws SERVICE OPERATION --option value …`, as far as runbooks need it, against the local cloud.

The options are those of botocore's models, which the real one is made from; `aws_commands` says
whether the real one has them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import jmespath
from botocore import xform_name

_SERVICES = {"s3api": "s3"}


def main(arguments: Sequence[str]) -> None:
    """Call it, and print what `--query` leaves of the answer as `--output text` does."""
    service, operation, *rest = arguments
    given = dict(zip(rest[::2], rest[1::2], strict=True))
    client: Any = boto3.client(  # type: ignore[call-overload]
        _SERVICES.get(service, service), region_name=given.pop("--region", os.environ["AWS_REGION"])
    )
    query, _text = given.pop("--query"), given.pop("--output")
    method = operation.replace("-", "_")
    names = client.meta.service_model.operation_model(
        client.meta.method_to_api_mapping[method]
    ).input_shape.members
    options = {f"--{xform_name(name, '-')}": name for name in names}
    answer = getattr(client, method)(**{options[key]: value for key, value in given.items()})
    for line in _lines(jmespath.search(query, answer)):
        print(line)  # noqa: T201 - it is what a command prints


def _lines(found: Any) -> Iterator[str]:
    if isinstance(found, list) and any(isinstance(one, list) for one in found):
        for one in found:
            yield from _lines(one)
    elif isinstance(found, list):
        yield "\t".join(map(str, found))
    else:
        yield str(found)


if __name__ == "__main__":
    main(sys.argv[1:])
