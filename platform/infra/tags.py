"""The tags of everything that takes tags, from one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pulumi

_PROJECT = "retainwise"


def tag_everything(environment: str) -> None:
    """Give each resource that takes tags those of the project, beside its own.

    To be called before anything is declared.
    """
    common = {"project": _PROJECT, "environment": environment, "managed-by": "pulumi"}

    def add(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        if not takes_tags(type(args.resource)):
            return None
        own = cast("Mapping[str, pulumi.Input[str]]", args.props.get("tags") or {})
        tags = {**common, **own}
        return pulumi.ResourceTransformationResult({**args.props, "tags": tags}, args.opts)

    pulumi.runtime.register_stack_transformation(add)


def takes_tags(kind: type[pulumi.Resource]) -> bool:
    """Tell whether AWS tags this type of resource by a map; a provider's class shows it."""
    return hasattr(kind, "tags") and kind.__module__.startswith("pulumi_aws.")
