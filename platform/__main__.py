"""RetainWise in AWS, top to bottom: what is kept, what waits, who comes in, what runs.

`pulumi up` applies this to AWS; `retainwise up` applies it to an emulated AWS on one machine.
`bootstrap/` is what must be there before.
"""

import pulumi
import pulumi_aws as aws

from infra import environment, permissions
from infra.alarms import Alarms, Watched
from infra.dashboard import dashboard
from infra.deletions import fence_deletions
from infra.deploy_lease import require_lease
from infra.edge import Edge
from infra.endpoints import Endpoints, reachable_in
from infra.identity import Account
from infra.keys import DataKey
from infra.network import Network
from infra.queues import PredictionsQueue
from infra.recovery import Recovery
from infra.scaling import ByBacklog, ByLoad
from infra.services import Cluster, Place, Service
from infra.settings import read_settings
from infra.sign_in import SessionSecret
from infra.storage import Storage
from infra.tags import tag_everything
from infra.trails import Trails

PORT = 8000  # on which the web service listens

settings = read_settings()  # a wrong one ends it here, before anything is declared
name = f"{settings.environment}-retainwise"
require_lease(settings, name)  # an update that nobody holds it for ends here, too
fence_deletions(settings)
tag_everything(settings.environment)
account = Account(aws.get_caller_identity().account_id, aws.get_region().region)
boundary = account.global_arn("iam", f"policy/{name}-boundary")  # made by the bootstrap

# What is kept, and what waits.
key = DataKey(name, settings.data, account)
storage = Storage(name, settings.data, account.id, key)
queues = PredictionsQueue(f"{name}-predictions", settings.predictions, settings.data, key)
recovery = Recovery(
    name, settings.data, account=account, key=key, storage=storage, boundary=boundary
)

# Where it runs, and how people come in.
network = Network(name, settings.network, account.region, is_public=settings.edge is not None)
endpoints = Endpoints(name, network, account, reachable_in(name, account, storage, queues, key))
cluster = Cluster(name)
place = Place(name, account, network, endpoints, cluster, key, boundary, settings.operations)
edge = secret = None
if settings.edge is not None:
    edge = Edge(
        name,
        settings.edge,
        settings.data,
        account=account,
        network=network,
        port=PORT,
        log_days=settings.operations.log_days,
    )
    secret = SessionSecret(name, key.arn, protect=settings.data.protect)
    Trails(
        name,
        account,
        logs=edge.logs,
        vpc_id=network.vpc.id,
        buckets=[("uploads", storage.uploads), ("results", storage.results)],
        acl_arn=edge.firewall.arn,
        key_arn=key.arn,
        log_days=settings.operations.log_days,
    )

# Who is told when something is wrong.
watched = Watched.of(name, settings, queues, recovery, edge)
alarms = Alarms(name, settings.operations, watched, account=account, key=key)
dashboard(name, account.region, watched, alarms.runbooks)

# What runs.
Service(
    "web",
    settings.services.web,
    place,
    command=["retainwise", "web", "--bind", f"0.0.0.0:{PORT}"],
    port=PORT,
    behind=edge,
    environment=environment.of_web(settings, storage, queues, edge),
    secrets={"SESSION_SECRET": secret.arn} if secret else {},
    may=permissions.web(storage, queues, key, account),
    scaling=ByLoad(settings.services.web.cpu_target_percent),
    alarms=alarms.take_back_web,
)
Service(
    "worker",
    settings.services.worker,
    place,
    command=["retainwise", "worker"],
    environment=environment.of_worker(settings, storage, queues),
    may=permissions.worker(storage, queues, key, account, cluster.name),
    scaling=ByBacklog(queues.queue.name, settings.services.worker.backlog_per_task),
    alarms=alarms.take_back_worker,
    is_healthy=["python", "-m", "worker.heartbeat"],
)

pulumi.export("queue_url", queues.queue.url)
pulumi.export("dlq_url", queues.dlq.url)
pulumi.export("table", storage.table.name)
pulumi.export("uploads_bucket", storage.uploads.bucket)
pulumi.export("results_bucket", storage.results.bucket)
pulumi.export("url", edge.url if edge else None)
