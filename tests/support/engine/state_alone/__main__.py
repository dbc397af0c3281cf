"""The part of the bootstrap that keeps the state of a stack, and the lease of its deploys."""

import pulumi_aws as aws

from bootstrap.lease import LeaseTable
from bootstrap.settings import read_settings
from bootstrap.state import State, StateKey
from infra.identity import Account
from infra.tags import tag_everything

settings = read_settings()
tag_everything(settings.environment)
account = Account(aws.get_caller_identity().account_id, aws.get_region().region)
name = f"{settings.environment}-retainwise"
key = StateKey(f"{name}-state", settings.state, account)
State(f"{name}-state", settings.state, account, key)
LeaseTable(f"{name}-deploy-lease", key.arn, protect=settings.state.protect)
