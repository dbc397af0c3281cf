"""What a stack costs in a month: its graph, resource by resource, at the prices of the table.

Fixed is what is paid when nobody comes; by use is the example load. A type of resource that is
neither priced here nor free by the table is an error, so nothing is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from infra.metrics import CARRIED
from localcloud.program import Declared
from operations.example_load import KB_IN_GB, Load
from operations.graph import Graph, outputs_of
from operations.prices import Price, Prices

HOURS = Decimal(730)
"""In an average month, as AWS reckons."""
_DAYS = HOURS / 24
_SECONDS = HOURS * 3600
_CENT = Decimal("0.01")
_INCLUDED_DISK_GB = 20  # of each Fargate task
# Bytes and operations that wait, operations that failed, how far behind it is.
_METRICS_OF_A_REPLICATION = 4
_LEAST_IA_KB = Decimal(128)  # what the infrequent-access class counts a smaller file as
# What predictions/sweeper.py asks for each sweep: three queries of an index that is mostly empty.
_SWEEP_READ_UNITS = Decimal("1.5")
# An upload is created, sent in parts and completed; three reads are the worker's and the checks'.
_CALLS_OF_UPLOAD, _CALLS_OF_RESULT = (3, 3), (2, 2)


class UnpricedType(LookupError):
    """A type of resource that nobody has said the cost of."""


@dataclass(frozen=True)
class Line:
    """A line of the bill."""

    service: str
    key: str
    what: str
    quantity: Decimal
    price: Price
    is_fixed: bool

    @property
    def month(self) -> Decimal:
        """USD in a month, to the cent."""
        return (self.quantity * self.price.usd).quantize(_CENT, ROUND_HALF_UP)


def lines_of(graph: Graph, prices: Prices, load: Load) -> list[Line]:
    """Return the bill, by service. Raises UnpricedType, and UnknownPrice for a region or row."""
    bill = _Bill(graph, prices, load)
    found: dict[tuple[str, str, str, bool, Price], Decimal] = {}
    for one in graph.resources:
        for line in bill.of(one):
            same = (line.service, line.key, line.what, line.is_fixed, line.price)
            found[same] = found.get(same, Decimal(0)) + line.quantity
    lines = [
        Line(service, key, what, quantity, price, is_fixed)
        for (service, key, what, is_fixed, price), quantity in found.items()
    ]
    return sorted(lines, key=lambda line: (line.service, not line.is_fixed, line.what))


def total(lines: Iterable[Line], *, is_fixed: bool | None = None) -> Decimal:
    """Add up lines as they are shown: the fixed ones, those by use, or all."""
    wanted = [line for line in lines if is_fixed in {None, line.is_fixed}]
    return sum((line.month for line in wanted), Decimal("0.00"))


_Pricer = Callable[["_Bill", Declared], Iterator[Line]]
_PRICED: dict[str, _Pricer] = {}


def _priced(kind: str) -> Callable[[_Pricer], _Pricer]:
    def add(pricer: _Pricer) -> _Pricer:
        _PRICED[kind] = pricer
        return pricer

    return add


def priced_types() -> set[str]:
    """Return the types that have a price here."""
    return set(_PRICED)


class _Bill:
    """What pricing a resource needs to know of the others."""

    def __init__(self, graph: Graph, prices: Prices, load: Load) -> None:
        self.graph, self.prices, self.load = graph, prices, load

    def of(self, one: Declared) -> Iterator[Line]:
        """Price a resource."""
        if one.type in _PRICED:
            yield from _PRICED[one.type](self, one)
        elif one.type not in self.prices.free:
            raise UnpricedType(f"{one.type} ({one.name}) is neither priced nor free")

    def fixed(
        self, service: str, key: str, quantity: Decimal | int, what: str = "", region: str = ""
    ) -> Line:
        """Return a line of what is paid in any case."""
        price = self.prices.of(key, region or self.graph.region)
        return Line(service, key, what or price.what, Decimal(quantity), price, is_fixed=True)

    def used(
        self, service: str, key: str, quantity: Decimal | int, what: str = "", region: str = ""
    ) -> Line:
        """Return a line of what the example load makes."""
        price = self.prices.of(key, region or self.graph.region)
        return Line(service, key, what or price.what, Decimal(quantity), price, is_fixed=False)

    def task_definition(self, service: Declared) -> Declared:
        """Return what a service runs."""
        arn = service.inputs["taskDefinition"]
        tasks = self.graph.all_of("TaskDefinition").values()
        return next(one for one in tasks if self.arn(one) == arn)

    def arn(self, one: Declared) -> str:
        return str(outputs_of(one, self.graph.region)["arn"])

    @property
    def records_gb(self) -> Decimal:
        load = self.load
        return load.predictions * load.kept_months * load.record_kb / KB_IN_GB


# ---- what runs -------------------------------------------------------------------------------


@_priced("aws:ecs/service:Service")
def _service(bill: _Bill, one: Declared) -> Iterator[Line]:
    definition, tasks = bill.task_definition(one), Decimal(one.inputs["desiredCount"])
    [container] = json.loads(definition.inputs["containerDefinitions"])
    label, hours = container["name"], tasks * HOURS
    spot = one.inputs["capacityProviderStrategies"][0]["capacityProvider"] == "FARGATE_SPOT"
    kind, aside = ("fargate-spot", " on Spot") if spot else ("fargate", "")
    vcpu = Decimal(definition.inputs["cpu"]) / 1024
    memory_gb = Decimal(definition.inputs["memory"]) / 1024
    disk_gb = definition.inputs["ephemeralStorage"]["sizeInGib"] - _INCLUDED_DISK_GB
    yield bill.fixed("Fargate", f"{kind}-vcpu", hours * vcpu, f"{label}: vCPU{aside}")
    yield bill.fixed("Fargate", f"{kind}-gb", hours * memory_gb, f"{label}: GB of memory{aside}")
    yield bill.fixed("Fargate", "fargate-disk", hours * disk_gb, f"{label}: GB of disk above 20")
    yield bill.fixed("CloudWatch", "insights-service", 1)
    yield bill.fixed("CloudWatch", "custom-metric", len(CARRIED.get(label, ())))
    yield from _standing_calls(bill, label, tasks, container)


def _standing_calls(
    bill: _Bill, label: str, tasks: Decimal, container: Mapping[str, Any]
) -> Iterator[Line]:
    """Price what a service asks for all day, whether there is work or not."""
    environment = {one["name"]: one["value"] for one in container["environment"]}
    if wait := environment.get("POLL_WAIT_S"):
        polls = tasks * Decimal(environment["JOB_PROCESSES"]) * _SECONDS / Decimal(wait)
        yield bill.fixed("SQS", "sqs-calls", polls / 10**6, f"{label}: polls of an empty queue")
    if every := environment.get("SWEEP_EVERY_S"):
        units = tasks * _SECONDS / Decimal(every) * _SWEEP_READ_UNITS
        yield bill.fixed("DynamoDB", "table-reads", units / 10**6, f"{label}: sweeps")


@_priced("aws:ecs/cluster:Cluster")
def _cluster(bill: _Bill, one: Declared) -> Iterator[Line]:
    if {"name": "containerInsights", "value": "enabled"} in one.inputs["settings"]:
        yield bill.fixed("CloudWatch", "insights-cluster", 1)


@_priced("aws:appautoscaling/policy:Policy")
def _scaling(bill: _Bill, one: Declared) -> Iterator[Line]:
    """Price the alarms that following a target makes by itself: one to grow, one to shrink."""
    target = one.inputs.get("targetTrackingScalingPolicyConfiguration")
    if target is None:
        return
    custom = target.get("customizedMetricSpecification", {}).get("metrics", [])
    metrics = sum("metricStat" in metric for metric in custom) or 1
    alarms = 1 if target.get("disableScaleIn") else 2
    yield bill.fixed(
        "CloudWatch", "alarm-metric", alarms * metrics, "Metrics of the alarms that scaling makes"
    )


# ---- where people come in --------------------------------------------------------------------


@_priced("aws:lb/loadBalancer:LoadBalancer")
def _load_balancer(bill: _Bill, one: Declared) -> Iterator[Line]:
    load, name = bill.load, "Load balancer"
    yield bill.fixed(name, "load-balancer", HOURS)
    if not one.inputs["internal"]:
        # AWS gives it one in each of its subnets.
        yield bill.fixed(name, "public-ipv4", HOURS * len(one.inputs["subnets"]))
        yield bill.used("Data transfer", "internet", load.served_kb / KB_IN_GB)
    # A unit lasts for a GB in an hour; connections and rules stay far below theirs.
    passed_gb = (load.served_kb + load.received_kb) / KB_IN_GB
    yield bill.used(name, "load-balancer-units", passed_gb)


@_priced("aws:wafv2/webAcl:WebAcl")
def _firewall(bill: _Bill, one: Declared) -> Iterator[Line]:
    yield bill.fixed("WAF", "waf-acl", 1)
    yield bill.fixed("WAF", "waf-rule", len(one.inputs["rules"]))
    requests = bill.load.predictions * bill.load.requests
    yield bill.used("WAF", "waf-requests", requests / 10**6)


@_priced("aws:cognito/userPool:UserPool")
def _people(bill: _Bill, one: Declared) -> Iterator[Line]:
    del one
    yield bill.used("Cognito", "cognito-user", bill.load.people)


@_priced("aws:ec2/vpcEndpoint:VpcEndpoint")
def _endpoint(bill: _Bill, one: Declared) -> Iterator[Line]:
    if one.inputs["vpcEndpointType"] != "Interface":
        return  # gateways are free
    yield bill.fixed("VPC endpoints", "endpoint", HOURS * len(one.inputs["subnetIds"]))
    if one.inputs["serviceName"].endswith(".logs"):  # the one that carries more than a few KB
        yield bill.used("VPC endpoints", "endpoint-data", _log_gb(bill))


# ---- what is kept ----------------------------------------------------------------------------


@_priced("aws:s3/bucket:Bucket")
def _bucket(bill: _Bill, one: Declared) -> Iterator[Line]:
    source = _copied_from(bill, one)
    purpose, files = _files_in(bill, source or one)
    load, count = bill.load, bill.load.predictions
    if source is not None:
        region = str(one.inputs["region"])
        kept_kb = sum((max(size, _LEAST_IA_KB) for size in files), Decimal(0))
        kept_gb = count * load.kept_months * kept_kb / KB_IN_GB
        what = f"{purpose}, copies in {region}"
        yield bill.used("S3", "copies-kept", kept_gb, f"{what}: kept", region)
        yield bill.used(
            "S3", "copies-written", count * len(files) / 1000, f"{what}: written", region
        )
        yield bill.used("Data transfer", "between-regions", count * sum(files) / KB_IN_GB)
        return
    if purpose == "access logs":
        kept_gb = count * load.requests * load.access_log_kb * _log_months(bill, one) / KB_IN_GB
        yield bill.used("S3", "files-kept", kept_gb, f"{purpose}: kept")
        return
    kept_gb = count * load.kept_months * sum(files) / KB_IN_GB
    writes, reads = _CALLS_OF_UPLOAD if purpose == "uploads" else _CALLS_OF_RESULT
    yield bill.used("S3", "files-kept", kept_gb, f"{purpose}: kept")
    yield bill.used("S3", "files-written", count * writes / 1000, f"{purpose}: written")
    yield bill.used("S3", "files-read", count * reads / 1000, f"{purpose}: read")


@_priced("aws:s3/bucketLogging:BucketLogging")
def _file_log(bill: _Bill, one: Declared) -> Iterator[Line]:
    """Price the lines that a bucket's log keeps: writing them is free, and so is their delivery."""
    buckets, load = bill.graph.all_of("Bucket"), bill.load
    purpose, _ = _files_in(bill, buckets[one.inputs["bucket"]])
    months = _log_months(bill, buckets[one.inputs["targetBucket"]])
    gb_kept = load.access_log_kb * months / KB_IN_GB  # for each call in a month
    calls = load.predictions * sum(_CALLS_OF_UPLOAD if purpose == "uploads" else _CALLS_OF_RESULT)
    yield bill.used("S3", "files-kept", calls * gb_kept, "access logs: kept")


def _files_in(bill: _Bill, bucket: Declared) -> tuple[str, list[Decimal]]:
    """Say what a bucket is for, and the files that a prediction leaves in it, KB."""
    load = bill.load
    for purpose, files in {
        "uploads": [load.upload_kb],
        "results": [load.result_kb, load.summary_kb],
        "access-logs": [],
    }.items():
        if f"-{purpose}-" in bucket.name:
            return purpose.replace("-", " "), files
    raise UnpricedType(f"{bucket.name}: the example load puts nothing into this bucket")


def _copied_from(bill: _Bill, bucket: Declared) -> Declared | None:
    """Return the bucket that this one holds the copies of."""
    for config in bill.graph.all_of("BucketReplicationConfig").values():
        if any(
            rule["destination"]["bucket"] == bill.arn(bucket) for rule in config.inputs["rules"]
        ):
            return bill.graph.all_of("Bucket")[config.inputs["bucket"]]
    return None


def _log_months(bill: _Bill, bucket: Declared) -> Decimal:
    """Return how long all that is in a bucket stays, by its own rule."""
    for one in bill.graph.all_of("BucketLifecycleConfiguration").values():
        for rule in one.inputs["rules"]:
            if one.inputs["bucket"] == bucket.name and "days" in rule.get("expiration", {}):
                return Decimal(rule["expiration"]["days"]) / _DAYS
    return bill.load.kept_months


@_priced("aws:dynamodb/table:Table")
def _table(bill: _Bill, one: Declared) -> Iterator[Line]:
    load, name = bill.load, "DynamoDB"
    replicas = [replica["regionName"] for replica in one.inputs.get("replicas") or []]
    writes, kept_gb = load.predictions * load.write_units / 10**6, bill.records_gb
    for region in (bill.graph.region, *replicas):
        label = f"replica in {region}: " if region in replicas else ""
        yield bill.used(name, "table-writes", writes, f"{label}write units", region)
        yield bill.used(name, "table-kept", kept_gb, f"{label}records kept", region)
        yield bill.used(
            name, "table-restorable", kept_gb, f"{label}restorable to a point in time", region
        )
    yield bill.used(name, "table-reads", load.predictions * load.read_units / 10**6, "read units")
    written_gb = load.predictions * load.write_units / KB_IN_GB  # a unit is a KB
    for _ in replicas:
        yield bill.used("Data transfer", "between-regions", written_gb)


@_priced("aws:backup/plan:Plan")
def _backups(bill: _Bill, one: Declared) -> Iterator[Line]:
    """Price what is kept: each backup of a table is a whole one."""
    tables = sum(
        bill.graph.refers(selection, table)
        for selection in bill.graph.all_of("Selection").values()
        if bill.graph.refers(selection, one)
        for table in bill.graph.all_of("Table").values()
    )
    each_gb = bill.records_gb * tables
    for rule in one.inputs["rules"]:
        days = rule["lifecycle"]["deleteAfter"]
        yield bill.used("Backup", "table-backup", each_gb * days, "daily backups kept")
        for copy in rule.get("copyActions", []):
            region = copy["destinationVaultArn"].split(":")[3]
            days = copy["lifecycle"]["deleteAfter"]
            what = f"their copies in {region}"
            yield bill.used("Backup", "table-backup", each_gb * days, what, region)
            yield bill.used("Data transfer", "between-regions", each_gb * _DAYS)


@_priced("aws:kms/key:Key")
def _key(bill: _Bill, one: Declared) -> Iterator[Line]:
    del one
    yield bill.fixed("KMS", "kms-key", 1)
    yield bill.used("KMS", "kms-calls", bill.load.predictions * bill.load.key_calls / 10_000)


@_priced("aws:kms/replicaKey:ReplicaKey")
def _replica_key(bill: _Bill, one: Declared) -> Iterator[Line]:
    yield bill.fixed("KMS", "kms-key", 1, f"Its copy in {one.inputs['region']}")


@_priced("aws:cloudformation/stack:Stack")
def _template(bill: _Bill, one: Declared) -> Iterator[Line]:
    """Price what a template makes; the template itself is free."""
    for resource in json.loads(one.inputs["templateBody"])["Resources"].values():
        if resource["Type"] != "AWS::SecretsManager::Secret":
            raise UnpricedType(f"{resource['Type']} ({one.name}) is neither priced nor free")
        yield bill.fixed("Secrets Manager", "secret", 1)


@_priced("aws:sqs/queue:Queue")
def _queue(bill: _Bill, one: Declared) -> Iterator[Line]:
    if "redrivePolicy" not in one.inputs:
        return  # a dead-letter queue has no traffic of its own, or something is wrong
    calls = bill.load.predictions * bill.load.messages / 10**6
    yield bill.used("SQS", "sqs-calls", calls, "calls")
    yield bill.used("SQS", "sqs-fair", calls, "calls with a message group, on top")


# ---- what is watched -------------------------------------------------------------------------


@_priced("aws:cloudwatch/logGroup:LogGroup")
def _log_group(bill: _Bill, one: Declared) -> Iterator[Line]:
    written_gb = bill.load.predictions * _log_kb(bill, one) / KB_IN_GB
    months = Decimal(one.inputs["retentionInDays"]) / _DAYS
    yield bill.used("CloudWatch", "log-written", written_gb)
    yield bill.used("CloudWatch", "log-kept", written_gb * months)


def _log_kb(bill: _Bill, group: Declared) -> Decimal:
    """Return what a prediction leaves in a log group, KB."""
    is_firewall_s = group.inputs["name"].startswith("aws-waf-logs-")  # no other name will do
    return bill.load.firewall_log_kb if is_firewall_s else bill.load.log_kb


def _log_gb(bill: _Bill) -> Decimal:
    """Return what the tasks write; the firewall's log does not come from the network."""
    groups = bill.graph.all_of("TaskDefinition")
    return len(groups) * bill.load.predictions * bill.load.log_kb / KB_IN_GB


@_priced("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
def _replication(bill: _Bill, one: Declared) -> Iterator[Line]:
    """Price what is measured of a replication; its copies are priced with their bucket."""
    for rule in one.inputs["rules"]:
        if rule["destination"].get("metrics", {}).get("status") == "Enabled":
            yield bill.fixed("CloudWatch", "custom-metric", _METRICS_OF_A_REPLICATION)


@_priced("aws:cloudwatch/metricAlarm:MetricAlarm")
def _alarm(bill: _Bill, one: Declared) -> Iterator[Line]:
    # An alarm on an expression costs as many as the metrics in it.
    metrics = sum("metric" in query for query in one.inputs.get("metricQueries", [])) or 1
    yield bill.fixed("CloudWatch", "alarm-metric", metrics, "Metrics that alarms look at")


@_priced("aws:cloudwatch/dashboard:Dashboard")
def _dashboard(bill: _Bill, one: Declared) -> Iterator[Line]:
    del one
    yield bill.fixed("CloudWatch", "dashboard", 1)
