"""Properties that the emulator takes and does not give back: they are sent, and not compared.

A change of one of them is not noticed here, as it would be by AWS's provider. A test applies the
program and fails once a row is told after all.
"""

from __future__ import annotations

from collections.abc import Mapping

_NOT_KEPT = "accepted and not kept"

NOT_TOLD: Mapping[str, Mapping[str, str]] = {
    "aws:ec2/vpcEndpoint:VpcEndpoint": {
        "policy": _NOT_KEPT,
        "securityGroupIds": _NOT_KEPT,
        "privateDnsEnabled": _NOT_KEPT,
    },
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"metricQueries": _NOT_KEPT},
    "aws:lb/listener:Listener": {"defaultActions.authenticateCognito": _NOT_KEPT},
    "aws:lb/listenerRule:ListenerRule": {"actions.authenticateCognito": _NOT_KEPT},
    "aws:dynamodb/table:Table": {
        "replicas.kmsKeyArn": "a replica is described with the key of the table that it copies",
    },
}
"""By type and property, why."""
