"""What must be in an account before the first deploy: where state is kept, who deploys, with what.

One stack for each environment, and an account for each. `retainwise bootstrap` applies it, which is
a person's work: what CI may do is declared below, and CI can change none of it.
"""

import pulumi
import pulumi_aws as aws

from bootstrap import deploying, reading
from bootstrap.backups import allow_backups_of_tables
from bootstrap.boundary import Boundary
from bootstrap.github import GitHub
from bootstrap.images import ImageRepository
from bootstrap.lease import LeaseTable
from bootstrap.roles import CiRole, policies, trust_in
from bootstrap.scope import Scope
from bootstrap.settings import read_settings
from bootstrap.state import State, StateKey
from infra.identity import Account
from infra.tags import tag_everything

settings = read_settings()  # a wrong one ends it here, before anything is declared
tag_everything(settings.environment)
account = Account(aws.get_caller_identity().account_id, aws.get_region().region)
scope = Scope(settings.environment, account, settings.state.recovery_region)
name = scope.name

key = StateKey(f"{name}-state", settings.state, account)
state = State(f"{name}-state", settings.state, account, key)
lease = LeaseTable(f"{name}-deploy-lease", key.arn, protect=settings.state.protect)
images = [
    ImageRepository(image, settings.images, key.arn, protect=settings.state.protect)
    for image in scope.images
]

allow_backups_of_tables(name)

# The most that a role of the service can have, whatever a deploy writes into it.
boundary = Boundary(scope, key)

# What a preview looks at; a deploy looks at the same, and changes it.
github = GitHub(settings.github, account)
looks = policies(scope, "read", reading.statements(scope, key))
changes = policies(
    scope,
    "deploy",
    deploying.statements(scope, key, hosted_zone_ids=settings.deploy.hosted_zone_ids),
)
preview = CiRole(scope.preview_role, [github.trust("pull_request")], looks)
# It takes itself as well: a deploy works in sessions of its own role that end with its lease.
deployers = [f"role/{scope.deploy_role}", *settings.deploy.people]
deploy = CiRole(
    scope.deploy_role,
    [github.trust(f"environment:{settings.environment}"), trust_in(account, deployers)],
    [*looks, *changes],
)

pulumi.export("backend_url", state.url)
pulumi.export("secrets_provider", key.secrets_provider)
pulumi.export("lease_table", lease.table.name)
pulumi.export("image_repositories", [image.url for image in images])
pulumi.export("permission_boundary", boundary.arn)
pulumi.export("preview_role", preview.arn)
pulumi.export("deploy_role", deploy.arn)
