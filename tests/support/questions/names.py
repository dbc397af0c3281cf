"""Names and tags, by which what is ours is told from what is not."""

from __future__ import annotations

from collections.abc import Iterator

from operations.graph import Graph, kind_of
from questions.asking import changed, question, setting

TAGS = {"project", "environment", "managed-by"}


@question(changed("Queue", lambda inputs: inputs.pop("tags")))
def everything_that_takes_tags_has_them(graph: Graph) -> Iterator[str]:
    taking = {kind_of(one) for one in graph.resources if "tags" in one.inputs}
    assert len(taking) > 15
    for one in graph.resources:
        tags = one.inputs.get("tags", {})
        if kind_of(one) in taking and not tags.keys() >= TAGS:
            yield f"{kind_of(one)} {one.name}"


@question(setting("Queue", name="predictions"))
def every_name_starts_with_the_stacks(graph: Graph) -> Iterator[str]:
    for one in graph.resources:
        name = one.inputs.get("name") or one.inputs.get("bucket") or one.name
        is_ours = str(name).startswith(
            # The firewall's logs go nowhere else.
            tuple(f"{before}{graph.stack}-retainwise" for before in ("", "alias/", "aws-waf-logs-"))
        )
        inside = kind_of(one) in {"RolePolicy", "Record", "Certificate"}
        if not is_ours and not inside:
            yield f"{kind_of(one)} {name}"
