"""Draws the diagram in docs/architecture.md from the graph of production; `make diagram` runs it.

Who talks to whom is read off the graph: a role's policy says what a service reads and writes, a
security group what it can reach, an alarm's action who is told. A new resource of a type that is
drawn appears by itself; left out are those that talk to nobody, such as rules and the dashboard.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pulumi

from infra.metrics import NAMESPACE
from localcloud.program import CHECKOUT, Declared
from operations.graph import ACCOUNT_ID, Graph, kind_of, outputs_of

DOCUMENT = CHECKOUT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by make diagram -->", "<!-- end -->"
_BLOCK = re.compile(rf"{BEGIN}.*?{END}", re.DOTALL)
GROUPS = {
    "edge": "Edge: public subnets",
    "services": "Services: private subnets, no way to the internet",
    "network": "The only ways out: VPC endpoints",
    "queue": "Queue",
    "data": "Data",
    "recovery": "Recovery",
    "observability": "Observability",
}
PEOPLE, OPERATORS = "people", "operators"
# What the actions of a policy come to, by how their names begin.
_VERBS = {
    "receives": ("Receive",),
    "sends": ("Send",),
    "reads": ("Get", "Query"),
    "writes": ("Put", "Update"),
    "erases": ("DeleteObject",),
}
_SHAPES = {
    "Bucket": ("[(", ")]"),
    "Table": ("[(", ")]"),
    "Vault": ("[(", ")]"),
    "Queue": ("[[", "]]"),
    "People": ("([", "])"),
}


@dataclass(frozen=True)
class Node:
    """A box: one resource, or several of one type that do the same."""

    id: str
    kind: str
    label: str
    group: str | None = None


@dataclass
class Diagram:
    """Boxes, and arrows between them with what passes."""

    nodes: dict[str, Node] = field(default_factory=dict)
    arrows: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, kind: str, name: str, label: str, group: str | None = None) -> str:
        """Add a box, once; return its id."""
        node_id = re.sub(r"\W+", "_", f"{kind} {name}".strip())
        self.nodes.setdefault(node_id, Node(node_id, kind, label, group))
        return node_id

    def join(self, source: str, target: str, label: str = "") -> None:
        """Draw an arrow between two boxes that are there."""
        if source in self.nodes and target in self.nodes and source != target:
            self.arrows[source, target] = label

    def mermaid(self) -> str:
        """Return it in Mermaid's language, in an order that a run does not change."""
        lines = ["flowchart LR"]
        lines += [f"  {_box(node)}" for node in self.nodes.values() if node.group is None]
        for group, title in GROUPS.items():
            inside = sorted(
                (node for node in self.nodes.values() if node.group == group),
                key=lambda node: node.id,
            )
            if inside:
                lines.append(f'  subgraph {group}["{title}"]')
                lines += [f"    {_box(node)}" for node in inside]
                lines.append("  end")
        for (source, target), label in sorted(self.arrows.items()):
            lines.append(f"  {source} -->{f'|{label}|' if label else ''} {target}")
        return "\n".join(lines)


def draw(graph: Graph) -> Diagram:
    """Draw a stack."""
    drawing = _Drawing(graph)
    for part in (
        drawing.data, drawing.queues, drawing.edge, drawing.services, drawing.network,
        drawing.recovery, drawing.observability,
    ):  # fmt: skip
        part()
    return drawing.diagram


class _Drawing:
    """One group after the other; arrows are drawn once both ends are there."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.diagram = graph, Diagram()
        self._boxes: dict[int, str] = {}
        self._prefix = next(iter(graph.all_of("Cluster")))

    # ---- what is kept, and what waits --------------------------------------------------------

    def data(self) -> None:
        copies = self._copies()
        logs = self._access_logs()
        for name, bucket in self.graph.all_of("Bucket").items():
            if name not in copies:
                group = "observability" if name in logs else "data"
                self._box(bucket, f"{self._short(name)} bucket", group)
        for table in self.graph.all_of("Table").values():
            self._box(table, f"{self._short(table.name)} table", "data")
        for key in self.graph.all_of("Key").values():
            kinds = {kind_of(one) for one in self.graph.resources if self.graph.refers(one, key)}
            encrypts = [what for kind, what in _ENCRYPTED.items() if kind in kinds]
            self._box(key, f"KMS key: {', '.join(encrypts)}", "data")
        for stack in self.graph.all_of("Stack").values():
            self._box(stack, f"{self._short(stack.name)} secret", "data")

    def queues(self) -> None:
        queues = self.graph.all_of("Queue").values()
        for queue in queues:
            self._box(queue, self._short(queue.name), "queue")
        for queue in queues:
            redrive = json.loads(queue.inputs.get("redrivePolicy", "{}"))
            for other in queues:
                if self._arn(other) == redrive.get("deadLetterTargetArn"):
                    times = f"after {redrive['maxReceiveCount']} receives"
                    self.diagram.join(self._id(queue), self._id(other), times)

    # ---- who comes in ------------------------------------------------------------------------

    def edge(self) -> None:
        for balancer in self.graph.all_of("LoadBalancer").values():
            zones = len(balancer.inputs["subnets"])
            label = f"load balancer, TLS, in {zones} zones"
            box = self._box(balancer, label, "edge")
            if self._is_open_to_all(balancer):
                people = self.diagram.add("People", PEOPLE, "people and programs")
                self.diagram.join(people, box, "HTTPS")
            if log := self._access_logs().get(balancer.inputs["accessLogs"]["bucket"]):
                self.diagram.join(box, self._id(log), "each request")
        for pool in self.graph.all_of("UserPool").values():
            box = self._box(pool, "Cognito user pool", "edge")
            for balancer in self._balancers_that_mention(pool):
                self.diagram.join(self._id(balancer), box, "who is it?")
        for acl in self.graph.all_of("WebAcl").values():
            rules = len(acl.inputs["rules"])
            box = self._box(acl, f"firewall, {rules} rules", "edge")
            for association in self.graph.all_of("WebAclAssociation").values():
                for balancer in self.graph.all_of("LoadBalancer").values():
                    if all(self.graph.refers(association, one) for one in (acl, balancer)):
                        self.diagram.join(box, self._id(balancer), "filters")

    def _access_logs(self) -> dict[str, Declared]:
        """Return the buckets that load balancers write their logs to."""
        balancers = self.graph.all_of("LoadBalancer").values()
        names = {balancer.inputs["accessLogs"]["bucket"] for balancer in balancers}
        buckets = self.graph.all_of("Bucket").items()
        return {name: bucket for name, bucket in buckets if name in names}

    def _is_open_to_all(self, balancer: Declared) -> bool:
        return any(
            rule.inputs.get("cidrIpv4") == "0.0.0.0/0"
            and rule.inputs["securityGroupId"] in balancer.inputs["securityGroups"]
            for rule in self.graph.all_of("SecurityGroupIngressRule").values()
        )

    def _balancers_that_mention(self, one: Declared) -> Iterator[Declared]:
        """Yield those with a listener, or a rule of one, that does."""
        listeners = self.graph.all_of("Listener").values()
        for balancer in self.graph.all_of("LoadBalancer").values():
            own = [listener for listener in listeners if self.graph.refers(listener, balancer)]
            rules = [
                rule
                for rule in self.graph.all_of("ListenerRule").values()
                if any(self.graph.refers(rule, listener) for listener in own)
            ]
            if any(self.graph.refers(part, one) for part in (*own, *rules)):
                yield balancer

    # ---- what runs ---------------------------------------------------------------------------

    def services(self) -> None:
        for service in self.graph.all_of("Service").values():
            definition = self._definition(service)
            least, most = self._tasks(service)
            count = f"{least} tasks" if least == most else f"{least} to {most} tasks"
            size = f"{int(definition.inputs['cpu']) / 1024:g} vCPU"
            name = self._short(service.name)
            box = self._box(service, f"<b>{name}</b><br/>{count}, {size}", "services")
            for target in self.graph.all_of("TargetGroup").values():
                if self.graph.refers(service, target):
                    for balancer in self._balancers_that_mention(target):
                        self.diagram.join(self._id(balancer), box, "forwards")
            self._what_it_may(definition, box)

    def _what_it_may(self, definition: Declared, box: str) -> None:
        for verbs, resource in self._grants(definition.inputs["taskRoleArn"]):
            self.diagram.join(box, self._id(resource), ", ".join(verbs))
        for stack in self.graph.all_of("Stack").values():
            secret = outputs_of(stack, self.graph.region)["outputs"]["Arn"]
            if secret in definition.inputs["containerDefinitions"]:
                self.diagram.join(box, self._id(stack), "is started with")

    def _grants(self, role_arn: str) -> Iterator[tuple[list[str], Declared]]:
        """Yield what a role may do to each box, in words and in one order."""
        actions: dict[int, tuple[Declared, list[str]]] = {}
        for policy in self.graph.all_of("RolePolicy").values():
            if policy.inputs["role"] != role_arn.rpartition("/")[2]:
                continue
            for statement in json.loads(policy.inputs["policy"])["Statement"]:
                for one in self.graph.all_of("Bucket", "Table", "Queue").values():
                    arn = self._arn(one)
                    if any(_is_of(resource, arn) for resource in statement["Resource"]):
                        actions.setdefault(id(one), (one, []))[1].extend(statement["Action"])
        for one, named in actions.values():
            names = [action.partition(":")[2] for action in named if action not in _ASIDE]
            verbs = [verb for verb, starts in _VERBS.items() if any(map(_begins(starts), names))]
            if verbs:
                yield verbs, one

    def _tasks(self, service: Declared) -> tuple[int, int]:
        least = most = int(service.inputs["desiredCount"])
        for target in self.graph.all_of("Target").values():
            if target.inputs["resourceId"].endswith(f"/{service.name}"):
                least, most = target.inputs["minCapacity"], target.inputs["maxCapacity"]
        return least, most

    def _definition(self, service: Declared) -> Declared:
        tasks = self.graph.all_of("TaskDefinition").values()
        return next(one for one in tasks if self.graph.refers(service, one))

    # ---- how it gets there -------------------------------------------------------------------

    def network(self) -> None:
        """Draw the endpoints of a sort as one box: which they are says more than how many."""
        rules = self.graph.all_of("SecurityGroupEgressRule").values()
        for sort in ("Interface", "Gateway"):
            own = [
                one
                for one in self.graph.all_of("VpcEndpoint").values()
                if one.inputs["vpcEndpointType"] == sort
            ]
            if not own:
                continue
            names = sorted(one.inputs["serviceName"].split(".", 3)[3] for one in own)
            label = f"{sort} endpoints:<br/>{', '.join(names)}"
            box = self.diagram.add("VpcEndpoint", sort, label, "network")
            lists = {outputs_of(one, self.graph.region)["prefixListId"] for one in own}
            groups = {group for one in own for group in one.inputs.get("securityGroupIds", [])}
            for service in self.graph.all_of("Service").values():
                mine = service.inputs["networkConfiguration"]["securityGroups"]
                for rule in rules:
                    peer = rule.inputs.get("referencedSecurityGroupId")
                    reached = peer in groups or rule.inputs.get("prefixListId") in lists
                    if reached and rule.inputs["securityGroupId"] in mine:
                        self.diagram.join(self._id(service), box)

    # ---- what survives -----------------------------------------------------------------------

    def recovery(self) -> None:
        for name, copied in self._copies().items():
            copy = self.graph.all_of("Bucket")[name]
            box = self._box(
                copy, f"{self._short(name)} bucket<br/>{self._region(copy)}", "recovery"
            )
            self.diagram.join(self._id(copied), box, "every version")
        for table in self.graph.all_of("Table").values():
            for replica in table.inputs.get("replicas") or []:
                region = replica["regionName"]
                label = f"{self._short(table.name)} replica<br/>{region}"
                box = self.diagram.add(
                    "Table", f"{self._short(table.name)} {region}", label, "recovery"
                )
                self.diagram.join(self._id(table), box, "every write")
        for key in self.graph.all_of("ReplicaKey").values():
            box = self._box(key, f"KMS key's copy<br/>{self._region(key)}", "recovery")
            for primary in self.graph.all_of("Key").values():
                if self.graph.refers(key, primary):
                    self.diagram.join(self._id(primary), box, "same key")
        self._backups()

    def _backups(self) -> None:
        vaults = self.graph.all_of("Vault").values()
        for vault in vaults:
            self._box(vault, f"backup vault<br/>{self._region(vault)}", "recovery")
        for plan in self.graph.all_of("Plan").values():
            tables = [
                table
                for selection in self.graph.all_of("Selection").values()
                if self.graph.refers(selection, plan)
                for table in self.graph.all_of("Table").values()
                if self.graph.refers(selection, table)
            ]
            for rule in plan.inputs["rules"]:
                [vault] = [one for one in vaults if one.name == rule["targetVaultName"]]
                kept = f"{rule['ruleName']}, {rule['lifecycle']['deleteAfter']} days"
                for table in tables:
                    self.diagram.join(self._id(table), self._id(vault), kept)
                away = {copy["destinationVaultArn"] for copy in rule.get("copyActions", [])}
                for other in vaults:
                    if self._arn(other) in away:
                        self.diagram.join(self._id(vault), self._id(other), "copies")

    def _copies(self) -> dict[str, Declared]:
        """Return the buckets that hold copies, each with the one that it copies."""
        buckets = self.graph.all_of("Bucket")
        return {
            rule["destination"]["bucket"].rpartition(":")[2]: buckets[config.inputs["bucket"]]
            for config in self.graph.all_of("BucketReplicationConfig").values()
            for rule in config.inputs["rules"]
        }

    # ---- who is told -------------------------------------------------------------------------

    def observability(self) -> None:
        topics = self.graph.all_of("Topic").values()
        for topic in topics:
            self._box(topic, f"{self._short(topic.name)} topic", "observability")
        self._logs()
        for kind, what in _WATCHERS.items():
            for topic in topics:
                telling = [
                    one for one in self.graph.all_of(kind).values() if self._tells(one, topic)
                ]
                if not telling:
                    continue
                label = what.format(len(telling))
                box = self.diagram.add(kind, self._short(topic.name), label, "observability")
                self.diagram.join(box, self._id(topic))
                self._runbooks(telling, box)
                if kind == "MetricAlarm":
                    self._watched(telling, box)
        for topic in topics:
            for subscription in self.graph.all_of("TopicSubscription").values():
                if self.graph.refers(subscription, topic):
                    operators = self.diagram.add("People", OPERATORS, "operators")
                    self.diagram.join(self._id(topic), operators, subscription.inputs["protocol"])

    def _logs(self) -> None:
        groups = self.graph.all_of("LogGroup")
        for service in self.graph.all_of("Service").values():
            [container] = json.loads(self._definition(service).inputs["containerDefinitions"])
            group = container["logConfiguration"]["options"]["awslogs-group"]
            days = groups[group].inputs["retentionInDays"]
            box = self.diagram.add("LogGroup", "", f"logs, {days} days", "observability")
            self.diagram.join(self._id(service), box)

    def _watched(self, alarms: list[Declared], box: str) -> None:
        """Join what the alarms look at: the queues, the load balancer, what log lines carry."""
        text = json.dumps([one.inputs["metricQueries"] for one in alarms])
        for queue in self.graph.all_of("Queue").values():
            if f'"{queue.name}"' in text:
                self.diagram.join(self._id(queue), box, "age, depth")
        for balancer in self.graph.all_of("LoadBalancer").values():
            if outputs_of(balancer, self.graph.region)["arnSuffix"] in text:
                self.diagram.join(self._id(balancer), box, "errors, latency")
        if f'"{NAMESPACE}"' in text:
            self.diagram.join("LogGroup", box, "counts")

    def _runbooks(self, telling: list[Declared], box: str) -> None:
        if any(one.inputs.get("tags", {}).get("runbook") for one in telling):
            runbooks = self.diagram.add("Runbooks", "", "runbooks/", "observability")
            self.diagram.join(box, runbooks)

    # ---- small things ------------------------------------------------------------------------

    def _tells(self, one: Declared, topic: Declared) -> bool:
        """Tell whether something sends to a topic; a rule does by a target of its own."""
        targets = self.graph.all_of("EventTarget").values()
        own = [target for target in targets if target.inputs["rule"] == one.name]
        return any(self.graph.refers(part, topic) for part in (one, *own))

    def _box(self, one: Declared, label: str, group: str) -> str:
        name = "" if one.name == self._prefix else self._short(one.name)
        self._boxes[id(one)] = self.diagram.add(kind_of(one), name, label, group)
        return self._boxes[id(one)]

    def _id(self, one: Declared) -> str:
        return self._boxes.get(id(one), "")

    def _arn(self, one: Declared) -> str:
        return str(outputs_of(one, self.graph.region)["arn"])

    def _region(self, one: Declared) -> str:
        return str(one.inputs.get("region") or self.graph.region)

    def _short(self, name: str) -> str:
        """Take off what all names of a stack begin and end with."""
        return name.removeprefix(f"{self._prefix}-").removesuffix(f"-{ACCOUNT_ID}")


_ENCRYPTED = {
    "BucketServerSideEncryptionConfiguration": "files",
    "Table": "records",
    "Queue": "messages",
    "Stack": "secret",
    "LogGroup": "logs",
    "Topic": "alarms",
    "Vault": "backups",
}
_WATCHERS = {
    "MetricAlarm": "{} alarms",
    "EventRule": "{} events",
    "Budget": "budget",
}
_ASIDE = {"sqs:GetQueueAttributes"}
"""Asked for the sake of health alone."""


def _is_of(resource: str, arn: str) -> bool:
    """Tell whether a policy's resource is something, or a part of it."""
    return resource == arn or resource.startswith(f"{arn}/")


def _begins(starts: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda name: name.startswith(starts)


def _box(node: Node) -> str:
    opening, closing = _SHAPES.get(node.kind, ("[", "]"))
    return f'{node.id}{opening}"{node.label}"{closing}'


def written_into(text: str, graph: Graph) -> str:
    """Return a document with the diagram in its marked block. Raises ValueError without one."""
    if not _BLOCK.search(text):
        raise ValueError(f"there is no block {BEGIN} … {END}")
    drawn = f"{BEGIN}\n\n```mermaid\n{draw(graph).mermaid()}\n```\n\n{END}"
    return _BLOCK.sub(lambda _: drawn, text, count=1)


def write(path: Path = DOCUMENT) -> None:
    """Draw production into the document."""
    path.write_text(written_into(path.read_text("utf-8"), Graph.of("prod")), "utf-8")


if __name__ == "__main__":
    try:
        write()
    except pulumi.RunError as exc:  # a setting is wrong, and the message says which
        sys.exit(str(exc))
