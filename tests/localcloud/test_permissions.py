"""What the services call works under their roles, and needs every action that the roles allow."""

from __future__ import annotations

import io
import json
from contextlib import suppress

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from localcloud import cloud as local_cloud
from predictions.errors import InputMissing
from predictions.files import Files, SummaryFile
from predictions.record import Claim, Failure, ResultFile, Summary, new_id
from predictions.store import Erasure, Store
from predictions.work_queue import WorkQueue

ACCOUNT = local_cloud.ACCOUNT_ID
UPLOADS = f"local-retainwise-uploads-{ACCOUNT}"
RESULTS = f"local-retainwise-results-{ACCOUNT}"
DENIED = {"AccessDenied", "AccessDeniedException", "403"}
SMALL, IN_PARTS = b"id\n1\n", b"x" * (8 * 1024 * 1024 + 1)
SUMMARY = Summary(
    expected_churners=0.5, predicted_churners=0, revenue_at_risk=None, bands=(), top_reasons=()
)
FAILURE = Failure(code="unreadable", message="It is no CSV.", hint="Save it as CSV.")


class CutOff(Exception):
    """The connection of an upload ended in the middle."""


class Service:
    """The product's own calls as somebody: under a role, or as root to prepare for those."""

    def __init__(self, emulator, session):
        # AWS's answers as they come: some denials are not raised, such as that of tidying up.
        self.denials = []
        session.events.register("after-call.*", self._note)
        self.s3, sqs = emulator.client("s3", session), emulator.client("sqs", session)
        table = session.resource("dynamodb", endpoint_url=emulator.endpoint).Table(
            "local-retainwise-predictions"
        )
        queues = f"{emulator.endpoint}/{ACCOUNT}/local-retainwise-predictions"
        self.store = Store(table, resend_after_s=0)
        self.files = Files(self.s3, uploads_bucket=UPLOADS, results_bucket=RESULTS)
        self.queue = WorkQueue(sqs, f"{queues}-queue", f"{queues}-dlq")

    def is_denied(self, call, root, folder):
        """Make a call; whether anything that it asked AWS for was denied."""
        self.denials.clear()
        try:
            call(self, root, folder)
        except (ClientError, S3UploadFailedError, InputMissing, AssertionError):
            if not self.denials:
                raise
        return bool(self.denials)

    def _note(self, parsed, model, **_):
        if parsed.get("Error", {}).get("Code") in DENIED:
            self.denials.append(model.name)

    # ---- how root prepares ---------------------------------------------------------------

    def uploaded(self, content=SMALL, prediction_id=None):
        return self.files.put_upload(
            "acme", prediction_id or new_id(), io.BytesIO(content), name="a.csv"
        )

    def queued(self, key=None):
        prediction_id = new_id()
        input_file = self.uploaded(prediction_id=prediction_id)
        return self.store.submit(
            "acme", prediction_id, input_file, traceparent="00", idempotency_key=key
        )

    def claim(self):
        queued = self.queued()
        self.store.claim("acme", queued.id, 1, "me")
        return Claim(account="acme", id=queued.id, attempt=1, owner="me")

    def failed(self):
        return self.store.fail(self.claim(), FAILURE)

    def result(self, folder, prediction_id, content=SMALL):
        path = folder / "result.csv"
        path.write_bytes(content)
        summary = SummaryFile(
            prediction=prediction_id,
            model="m",
            rows=1,
            rows_failed=0,
            summary=SUMMARY,
            customers_at_risk=(),
        )
        key, summary_key = self.files.put_result("acme", prediction_id, 1, path, summary)
        return ResultFile(key=key, summary_key=summary_key, rows=1, rows_failed=0, model="m")

    def completed(self, folder):
        claim = self.claim()
        return self.store.complete(claim, self.result(folder, claim.id), SUMMARY)

    def received(self):
        self.queue.send(self.queued())
        [received] = self.queue.receive(wait_s=1)
        return received

    def cut_off(self, upload):
        """Upload in parts, and lose the connection with the first one."""

        def lose(**_):
            raise CutOff

        self.s3.meta.events.register("before-call.s3.UploadPart", lose, unique_id="cut-off")
        try:
            with suppress(CutOff):
                upload()
        finally:
            self.s3.meta.events.unregister("before-call.s3.UploadPart", unique_id="cut-off")


def fetch_a_missing_upload(service, root, folder):
    gone = root.uploaded()
    root.s3.delete_object(Bucket=UPLOADS, Key=gone.key, VersionId=gone.version_id)
    with pytest.raises(InputMissing):
        service.files.fetch_upload(gone, folder / "input.csv")


def erase(service, root, folder):
    prediction = root.completed(folder)
    assert service.files.erase("acme", prediction.id) == 3


def erase_an_attempt(service, root, folder):
    prediction = root.completed(folder)
    assert service.files.erase_attempts("acme", prediction.id, up_to=1) == 2


# No service does these: who adopts the account takes over predictions, `retainwise dlq` gives up,
# `retainwise predictions` lists, looks for files and calls off.
BY_OPERATORS = {
    "store.call_off",
    "store.give_up",
    "store.newest_unfinished",
    "store.queued",
    "store.take_over",
    "store.was_taken_over",
    "files.copy_result",
    "files.copy_upload",
    "files.find_results",
    "files.find_upload",
    "files.has_upload",
    "files.read_old",
}


def a_sweep_finds(records):
    """Read what a sweep reads, to the end."""
    assert [*records]


# Each public method that the service calls, first those that need little.
CALLS = {
    "web": {
        "store.get": lambda s, root, _: s.store.get("acme", root.queued().id),
        "store.page": lambda s, _, __: s.store.page("acme"),
        "store.page by status": lambda s, _, __: s.store.page("acme", status="FAILED"),
        "store.remembered": lambda s, _, __: s.store.remembered("acme", "a key"),
        "store.ping": lambda s, _, __: s.store.ping(),
        "store.submit": lambda s, root, _: s.store.submit(
            "acme", new_id(), root.uploaded(), traceparent="00", idempotency_key=new_id()
        ),
        "store.requeue": lambda s, root, _: s.store.requeue("acme", root.failed().id),
        "store.delete": lambda s, root, _: s.store.delete(
            "acme", root.queued(new_id()).id, erase_after_s=0
        ),
        "store.order_erasure": lambda s, _, __: s.store.order_erasure("acme", new_id()),
        "store.column_matches": lambda s, _, __: s.store.column_matches("acme"),
        "store.remember_column_matches": lambda s, _, __: s.store.remember_column_matches(
            "acme", {"tenure": "months"}
        ),
        "store.change_column_matches": lambda s, _, __: s.store.change_column_matches(
            "acme", lambda remembered: {**remembered, "Contract": "plan"}
        ),
        "queue.send": lambda s, root, _: s.queue.send(root.queued()),
        "queue.ping": lambda s, _, __: s.queue.ping(),
        "files.ping": lambda s, _, __: s.files.ping(),
        "files.put_upload": lambda s, _, __: s.uploaded(),
        "files.open_result": lambda s, root, folder: s.files.open_result(root.completed(folder)),
        "files.read_summary": lambda s, root, folder: s.files.read_summary(root.completed(folder)),
        "files.put_upload in parts": lambda s, _, __: s.uploaded(IN_PARTS),
        "files.put_upload cut off": lambda s, _, __: s.cut_off(lambda: s.uploaded(IN_PARTS)),
    },
    "worker": {
        "store.find": lambda s, root, _: s.store.find(root.queued().id),
        "store.claim": lambda s, root, _: s.store.claim("acme", root.queued().id, 1, "me"),
        "store.renew": lambda s, root, _: s.store.renew(
            root.claim(), rows_done=1, fraction_done=0.5
        ),
        "store.complete": lambda s, root, folder: s.store.complete(
            root.claim(), root.result(folder, new_id()), SUMMARY
        ),
        "store.fail": lambda s, root, _: s.store.fail(root.claim(), FAILURE),
        "store.hand_back": lambda s, root, _: s.store.hand_back(root.claim()),
        "store.put_off": lambda s, root, _: s.store.put_off(root.claim(), delay_s=4),
        "store.put_back": lambda s, root, _: s.store.put_back(root.claim()),
        "store.take_resend": lambda s, root, _: s.store.take_resend(root.queued()),
        "store.queued_and_due": lambda s, _, __: a_sweep_finds(s.store.queued_and_due()),
        "store.processing": lambda s, root, _: root.claim() and a_sweep_finds(s.store.processing()),
        "store.order_erasure": lambda s, _, __: s.store.order_erasure("acme", new_id()),
        "store.erasures_due": lambda s, root, _: (
            root.store.order_erasure("acme", new_id()) or a_sweep_finds(s.store.erasures_due())
        ),
        "store.erased": lambda s, _, __: s.store.erased(Erasure("acme", new_id())),
        "queue.send": lambda s, root, _: s.queue.send(root.queued()),
        "queue.receive": lambda s, _, __: s.queue.receive(wait_s=0),
        "queue.extend": lambda s, root, _: s.queue.extend(root.received(), visibility_s=1),
        "queue.hand_back": lambda s, root, _: s.queue.hand_back(root.received()),
        "queue.delete": lambda s, root, _: s.queue.delete(root.received()),
        "queue.dead_letter": lambda s, root, _: s.queue.dead_letter(root.received(), "why"),
        "files.fetch_upload": lambda s, root, folder: s.files.fetch_upload(
            root.uploaded(), folder / "input.csv"
        ),
        "files.fetch_upload of a missing one": fetch_a_missing_upload,
        "files.erase": erase,
        "files.erase_attempts": erase_an_attempt,
        "files.put_result": lambda s, _, folder: s.result(folder, new_id()),
        "files.put_result in parts": lambda s, _, folder: s.result(folder, new_id(), IN_PARTS),
        "files.put_result cut off": lambda s, _, folder: s.cut_off(
            lambda: s.result(folder, new_id(), IN_PARTS)
        ),
    },
}
# What AWS asks for and the emulator does not.
_KEY = (
    "what S3, SQS and DynamoDB keep is encrypted with the stack's key, and they ask KMS in the "
    "caller's name: docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html, "
    "docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html, "
    "docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html"
)
NOT_CHECKED = {
    ("web", "kms:Decrypt"): _KEY,
    ("web", "kms:GenerateDataKey"): _KEY,
    ("worker", "kms:Decrypt"): _KEY,
    ("worker", "kms:GenerateDataKey"): _KEY,
    ("worker", "ecs:UpdateTaskProtection"): (
        "ECS's agent in a task asks for it under the task's role; no emulator has an agent"
    ),
    ("worker", "s3:ListBucket"): "without it AWS answers 403 for a missing object, it always 404",
}


@pytest.fixture
def root(emulator):
    emulator.bootstrap()
    emulator.apply()
    return Service(emulator, emulator.session)


def as_role(emulator, service):
    return Service(emulator, emulator.as_role(f"local-retainwise-{service}-task"))


def grants(policy):
    """Each action on each resource that a policy allows, and when."""
    return [
        (action, resource, statement.get("Condition"))
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]


def policy_of(granted):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": [action], "Resource": [resource]}
            | ({"Condition": condition} if condition else {})
            for action, resource, condition in granted
        ],
    }


@pytest.mark.parametrize("name", CALLS)
def test_a_service_may_all_that_it_calls(emulator, root, tmp_path, name):
    service = as_role(emulator, name)
    for call in CALLS[name].values():
        call(service, root, tmp_path)
    assert service.denials == []


@pytest.mark.parametrize("name", CALLS)
def test_a_service_calls_all_that_it_may(emulator, root, tmp_path, name):
    iam, role = emulator.client("iam"), f"local-retainwise-{name}-task"
    granted = grants(iam.get_role_policy(RoleName=role, PolicyName="may")["PolicyDocument"])
    service = as_role(emulator, name)
    needless = []
    for one in granted:
        rest = json.dumps(policy_of(other for other in granted if other != one))
        iam.put_role_policy(RoleName=role, PolicyName="may", PolicyDocument=rest)
        calls = CALLS[name].values()
        if not any(service.is_denied(call, root, tmp_path) for call in calls):
            needless.append(one)
    assert {(name, action) for action, _, _ in needless} == {
        one for one in NOT_CHECKED if one[0] == name
    }


@pytest.mark.parametrize("name", CALLS)
def test_a_service_can_have_its_data_decrypted_and_not_use_the_key_itself(emulator, root, name):
    iam, role = emulator.client("iam"), f"local-retainwise-{name}-task"
    document = iam.get_role_policy(RoleName=role, PolicyName="may")["PolicyDocument"]
    [(key, condition)] = {
        (resource, json.dumps(when))
        for action, resource, when in grants(document)
        if action.startswith("kms:")
    }
    assert json.loads(condition) == {
        "StringEquals": {
            "kms:ViaService": [
                f"{service}.eu-west-1.amazonaws.com" for service in ("dynamodb", "s3", "sqs")
            ]
        }
    }

    # The boundary asks for the key's tags, which the emulator does not look up.
    iam.delete_role_permissions_boundary(RoleName=role)

    def use():
        kms = emulator.client("kms", emulator.as_role(role))
        return kms.generate_data_key(KeyId=key, KeySpec="AES_256")

    with pytest.raises(ClientError, match="AccessDenied"):
        use()
    # It is the condition that denies: without it, the same statement allows.
    loose = policy_of((action, resource, None) for action, resource, _ in grants(document))
    iam.put_role_policy(RoleName=role, PolicyName="may", PolicyDocument=json.dumps(loose))
    assert use()["KeyId"] == key


def test_no_method_is_left_out():
    called = {call.split(" ")[0] for calls in CALLS.values() for call in calls}
    there = {
        f"{name}.{method}"
        for name, kind in (("store", Store), ("files", Files), ("queue", WorkQueue))
        for method in vars(kind)
        if not method.startswith("_")
    }
    assert called == there - BY_OPERATORS
