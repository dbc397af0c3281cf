"""The program as a graph: what it declares, run in this process with nothing behind it.

Every resource gets the names that AWS would give it, so that policies read as they will, and so
that who refers to whom can be told from the inputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from localcloud.program import SERVICE, Declared, Program, run_program, stack_config

ACCOUNT_ID = "111122223333"

_ARNS = {
    "Alias": "kms:{region}:{account}:{name}",
    "Bucket": "s3:::{name}",
    "Cluster": "ecs:{region}:{account}:cluster/{name}",
    "Key": "kms:{region}:{account}:key/{name}",
    "LoadBalancer": "elasticloadbalancing:{region}:{account}:loadbalancer/app/{name}/0",
    "LogGroup": "logs:{region}:{account}:log-group:{name}",
    "Queue": "sqs:{region}:{account}:{name}",
    "ReplicaKey": "kms:{region}:{account}:key/{name}",
    "Repository": "ecr:{region}:{account}:repository/{name}",
    "Role": "iam::{account}:role/{name}",
    "Table": "dynamodb:{region}:{account}:table/{name}",
    "Topic": "sns:{region}:{account}:{name}",
    "UserPool": "cognito-idp:{region}:{account}:userpool/{name}",
    "Vault": "backup:{region}:{account}:backup-vault:{name}",
}
"""Of the types that policies name; the others get one that only tells them apart."""


@dataclass(frozen=True)
class Graph:
    """What a stack declares, by type and name."""

    stack: str
    region: str
    resources: list[Declared] = field(default_factory=list)

    @classmethod
    def of(
        cls, stack: str, config: Mapping[str, Any] | None = None, program: Program = SERVICE
    ) -> Graph:
        """Run a program as a stack. Raises pulumi.RunError for a wrong setting."""
        config = stack_config(stack, program) if config is None else config
        graph = cls(stack, config["aws:region"])
        run_program(_Recorder(graph), stack, config, program, is_preview=True)
        graph.resources.sort(key=lambda one: (one.type, one.name))
        return graph

    def all_of(self, *kinds: str) -> dict[str, Declared]:
        """Return the resources of some types, such as `Bucket`, by their names in the program."""
        return {one.name: one for one in self.resources if kind_of(one) in kinds}

    def policies(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each policy document, wherever it stands, with the name of its resource."""
        for one in self.resources:
            for key in ("policy", "assumeRolePolicy"):
                if text := one.inputs.get(key):
                    yield f"{kind_of(one)} {one.name}", json.loads(text)

    def containers(self) -> dict[str, Mapping[str, Any]]:
        """Return each service's container definition."""
        tasks = self.all_of("TaskDefinition").values()
        definitions = (json.loads(one.inputs["containerDefinitions"])[0] for one in tasks)
        return {definition["name"]: definition for definition in definitions}

    @cached_property
    def text_of(self) -> Mapping[int, str]:
        """The inputs of each resource as text, in which the names of others are found."""
        return {id(one): json.dumps(one.inputs, default=str) for one in self.resources}

    def refers(self, one: Declared, other: Declared) -> bool:
        """Tell whether a resource is declared with anything of another one."""
        text = self.text_of[id(one)]
        known = (resource_id(other), outputs_of(other, self.region)["arn"])
        # Whole names only: one may begin as another does.
        return one is not other and any(
            re.search(re.escape(name) + r"(?![\w-])", text) for name in known
        )


class _Recorder:
    """Stands where the AWS provider stands in a real run."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def resource(self, declared: Declared) -> tuple[str, Mapping[str, Any]]:
        self._graph.resources.append(declared)
        return resource_id(declared), outputs_of(declared, self._graph.region)

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        del function, arguments
        return {"accountId": ACCOUNT_ID, "region": self._graph.region}


def kind_of(declared: Declared) -> str:
    """Return the last part of a resource's type: `Bucket` of `aws:s3/bucket:Bucket`."""
    return declared.type.rpartition(":")[2]


def resource_id(declared: Declared) -> str:
    """Return the id that the resource has in a graph."""
    return f"{kind_of(declared)}/{declared.name}"


def outputs_of(declared: Declared, region: str) -> dict[str, Any]:
    """Make up what AWS would answer, as far as the program asks for it."""
    kind, name = kind_of(declared), declared.name
    arn = _ARNS.get(kind, f"none:{{region}}:{{account}}:{kind}/{{name}}")
    region = declared.inputs.get("region", region)
    record = {"resourceRecordName": "_proof", "resourceRecordType": "CNAME"}
    return {
        "arn": "arn:aws:" + arn.format(region=region, account=ACCOUNT_ID, name=name),
        "arnSuffix": f"app/{name}/0",
        "dnsName": f"{name}.elb.example",
        "domainValidationOptions": [{**record, "resourceRecordValue": "_value"}],
        "fqdn": f"{name}.example",
        "keyId": name,
        "outputs": {"Arn": f"arn:aws:secretsmanager:{region}:{ACCOUNT_ID}:secret:{name}-000000"},
        "prefixListId": f"pl-{name}",
        "url": f"https://sqs.{region}.amazonaws.com/{ACCOUNT_ID}/{name}",
        "zoneId": "Z1",
    }
