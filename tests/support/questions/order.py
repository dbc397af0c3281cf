"""What must be there before what: the order that AWS asks for and that no input tells."""

from __future__ import annotations

from collections.abc import Iterator

from localcloud.program import Declared
from operations.graph import Graph, kind_of
from questions.asking import Break, changed, not_waiting, question


def _before(graph: Graph, one: Declared) -> set[tuple[str, str]]:
    """The types and names of all that is there before a resource is made."""
    by_name = {(other.type, other.name): other for other in graph.resources}
    found: set[tuple[str, str]] = set()
    left = [one]
    while left:
        resource = left.pop()
        own = {name for names in resource.references.values() for name in names}
        new = ({*own, *resource.depends_on} - found) & by_name.keys()
        found |= new
        left += [by_name[name] for name in new]
    return {(kind.rpartition(":")[2], name) for kind, name in found}


def _missed(graph: Graph, one: Declared, *needed: tuple[str, str]) -> Iterator[str]:
    before = _before(graph, one)
    for kind, name in needed:
        if (kind, name) not in before:
            yield f"{kind_of(one)} {one.name} does not wait for the {kind} {name}"


def _name(arn: str) -> str:
    """The name in a role's ARN, or in a bucket's with or without a folder."""
    return arn.rpartition(":role/")[2] if ":role/" in arn else arn.split(":")[-1].split("/")[0]


def _not_waiting_for(kind: str, *others: str) -> Break:
    """Let a resource wait no more for those of some other types."""

    def run(graph: Graph) -> Graph:
        [first, *_] = graph.all_of(kind).values()
        rest = tuple(one for one in first.depends_on if one[0].rpartition(":")[2] not in others)
        assert rest != first.depends_on, f"{first.name} waits for no {others}"
        return changed(kind, lambda _: None, depends_on=rest)(graph)

    return run


@question(
    _not_waiting_for("Service", "RolePolicy"),
    _not_waiting_for("Service", "Listener", "ListenerRule"),
    _not_waiting_for("Service", "VpcEndpoint"),
    _not_waiting_for("Service", "SecurityGroupIngressRule"),
    _not_waiting_for("Service", "RouteTableAssociation"),
    _not_waiting_for("Service", "ClusterCapacityProviders"),
)
def a_task_starts_when_all_that_it_needs_is_there(graph: Graph) -> Iterator[str]:
    """Without one of these it dies at its start, and the first deploy with it."""
    containers = graph.containers()
    endpoints = [("VpcEndpoint", name) for name in graph.all_of("VpcEndpoint")]
    routes = [
        ("RouteTableAssociation", name)
        for name in graph.all_of("RouteTableAssociation")
        if "-private-" in name
    ]
    assert endpoints
    assert routes
    for name, service in graph.all_of("Service").items():
        inputs = service.inputs
        container = containers[name.removeprefix(f"{graph.stack}-retainwise-")]
        [group] = inputs["networkConfiguration"]["securityGroups"]
        rules = [
            (kind_of(rule), rule.name)
            for rule in graph.all_of("SecurityGroupIngressRule", "SecurityGroupEgressRule").values()
            if group in rule.inputs.values()
        ]
        assert rules
        listeners = []
        if inputs.get("loadBalancers"):  # a target group takes tasks only behind a listener
            listeners = [
                (kind_of(one), one.name)
                for one in graph.all_of("Listener", "ListenerRule").values()
            ]
        yield from _missed(
            graph,
            service,
            ("RolePolicy", f"{name}-task"),
            ("RolePolicy", f"{name}-execution"),
            ("ClusterCapacityProviders", inputs["cluster"].rpartition("/")[2]),
            ("LogGroup", container["logConfiguration"]["options"]["awslogs-group"]),
            *endpoints,
            *routes,
            *rules,
            *listeners,
        )


@question(
    _not_waiting_for("LoadBalancer", "BucketPolicy"),
    _not_waiting_for("LoadBalancer", "Route"),
    not_waiting("FlowLog"),
    not_waiting("BucketLogging"),
    not_waiting("WebAclLoggingConfiguration"),
)
def a_log_is_turned_on_when_it_can_be_written(graph: Graph) -> Iterator[str]:
    """AWS tries to write at once, and refuses the setting where it cannot."""
    for balancer in graph.all_of("LoadBalancer").values():
        routes = [("Route", name) for name in graph.all_of("Route")]
        bucket = balancer.inputs["accessLogs"]["bucket"]
        yield from _missed(graph, balancer, ("BucketPolicy", bucket), *routes)
    for log in graph.all_of("FlowLog").values():
        bucket = _name(log.inputs["logDestination"])
        yield from _missed(graph, log, ("BucketPolicy", bucket))
    for log in graph.all_of("BucketLogging").values():
        yield from _missed(graph, log, ("BucketPolicy", log.inputs["targetBucket"]))
    for log in graph.all_of("WebAclLoggingConfiguration").values():
        policies = [("LogResourcePolicy", name) for name in graph.all_of("LogResourcePolicy")]
        assert policies
        yield from _missed(graph, log, *policies)


@question(
    not_waiting("BucketPolicy"),
    not_waiting("BucketLifecycleConfiguration"),
    not_waiting("BucketReplicationConfig"),
)
def what_a_bucket_is_told_comes_in_an_order_that_s3_takes(graph: Graph) -> Iterator[str]:
    """Lifecycles and copies are of versions; who may reach it is changed one at a time."""
    needs = {
        "BucketPolicy": "BucketPublicAccessBlock",
        "BucketLifecycleConfiguration": "BucketVersioning",
        "BucketObjectLockConfiguration": "BucketVersioning",
    }
    for kind, other in needs.items():
        for name, one in graph.all_of(kind).items():
            yield from _missed(graph, one, (other, name))
    for one in graph.all_of("BucketReplicationConfig").values():
        buckets = [one.inputs["bucket"]]
        buckets += [_name(rule["destination"]["bucket"]) for rule in one.inputs["rules"]]
        yield from _missed(graph, one, *(("BucketVersioning", bucket) for bucket in buckets))


@question(not_waiting("Selection"), not_waiting("BucketReplicationConfig"))
def a_role_is_used_when_it_may_what_it_is_for(graph: Graph) -> Iterator[str]:
    """A copy that was refused is not tried again."""
    for kind, key in (("Selection", "iamRoleArn"), ("BucketReplicationConfig", "role")):
        for one in graph.all_of(kind).values():
            yield from _missed(graph, one, ("RolePolicy", _name(one.inputs[key])))
