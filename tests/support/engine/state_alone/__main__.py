"""The part of the bootstrap that keeps the state and the lease, and a deploy role that may all."""

import json

import pulumi_aws as aws

from bootstrap.lease import LeaseTable
from bootstrap.roles import CiRole, trust_in
from bootstrap.scope import Scope
from bootstrap.settings import read_settings
from bootstrap.state import State, StateKey
from infra.identity import Account
from infra.tags import tag_everything

settings = read_settings()
tag_everything(settings.environment)
account = Account(aws.get_caller_identity().account_id, aws.get_region().region)
scope = Scope(settings.environment, account)
name = scope.name
key = StateKey(f"{name}-state", settings.state, account)
State(f"{name}-state", settings.state, account, key)
LeaseTable(f"{name}-deploy-lease", key.arn, protect=settings.state.protect)
statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
everything = aws.iam.Policy(
    f"{name}-everything",
    name=f"{name}-everything",
    policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
)
deployers = [f"role/{scope.deploy_role}", *settings.deploy.people]
CiRole(scope.deploy_role, [trust_in(account, deployers)], [everything])
