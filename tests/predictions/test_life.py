"""Random interleavings of everything that can happen to predictions, by several at once.

Some owners stall: they hold a claim, the sweeper gives the record to somebody else, and they come
back and try to commit. At the end everything must come to an end. The machine keeps its own small
model of what is allowed and compares.
"""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from memory_cloud import TRACEPARENT, memory_cloud
from predictions import message
from predictions.errors import LeaseLost, NotFound, WrongStatus
from predictions.record import (
    UNFINISHED,
    Band,
    Failure,
    ResultFile,
    Status,
    Summary,
    new_id,
)
from predictions.store import Store
from predictions.sweeper import Sweeper, claim_of

ACCOUNTS = st.sampled_from(["anna", "ben"])
OWNERS = st.sampled_from(["worker-1", "worker-2", "worker-3"])
LEASE_S = 30
RESEND_S = 60
MAX_ATTEMPTS = 3
BAD_FILE = Failure(code="bad-file", message="It is bad.", hint="Mend it.")
SUMMARY = Summary(
    expected_churners=0.5,
    predicted_churners=1,
    revenue_at_risk=12.25,
    bands=(Band(name="low", customers=1),),
    top_reasons=(),
)


class Life(RuleBasedStateMachine):
    """Predictions of two accounts, three workers and a sweeper."""

    predictions = Bundle("predictions")
    claims = Bundle("claims")
    looks = Bundle("looks")

    def __init__(self):
        super().__init__()
        self.opened = memory_cloud()
        self.cloud = self.opened.__enter__()
        self.now = 1_000_000.0
        self.store = Store(self.cloud.table, resend_after_s=RESEND_S, clock=self.clock)
        self.sweeper = Sweeper(
            self.store,
            self.cloud.queue,
            self.cloud.files,
            lease_s=LEASE_S,
            max_attempts=MAX_ATTEMPTS,
            clock=lambda: self.now,
        )
        self.expected = {}  # (account, id) → status, for those that are not deleted
        self.attempts = {}  # the highest attempt seen
        self.holder = {}  # who may commit: the last claim that was granted and not ended
        self.completions = {}
        self.completed = {}  # the claim that completed it, for those that are not deleted
        self.serial = 0

    def clock(self):
        """No two steps are at the same time."""
        self.now += 0.001
        return self.now

    def teardown(self):
        try:
            self.everything_ends()
        finally:
            self.opened.__exit__(None, None, None)

    # ---- what people do ----

    @rule(target=predictions, account=ACCOUNTS)
    def submit(self, account):
        prediction_id = new_id()
        uploaded = self.cloud.files.put_upload(
            account, prediction_id, io.BytesIO(b"id\n1\n"), name="a.csv"
        )
        made = self.store.submit(account, prediction_id, uploaded, traceparent=TRACEPARENT)
        key = (account, prediction_id)
        self.expected[key] = Status.QUEUED
        self.attempts[key] = made.attempt
        return key

    @rule(key=predictions)
    def retry(self, key):
        before = self.expected.get(key)
        try:
            queued = self.store.requeue(*key)
        except NotFound:
            assert before is None
        except WrongStatus:
            assert before not in (None, Status.FAILED)
        else:
            assert before is Status.FAILED
            assert queued.attempt == self.attempts[key] + 1
            assert queued.failure is None
            self.cloud.queue.send(queued)
            self.expected[key] = Status.QUEUED

    @rule(key=predictions)
    def delete(self, key):
        try:
            self.store.delete(*key, erase_after_s=LEASE_S)
        except NotFound:
            assert key not in self.expected
        else:
            del self.expected[key]
            self.holder.pop(key, None)
            self.completed.pop(key, None)

    @rule(key=predictions, other=ACCOUNTS)
    def another_account_sees_nothing(self, key, other):
        if other != key[0]:
            for call in (self.store.get, self.store.requeue):
                try:
                    call(other, key[1])
                except NotFound:
                    continue
                raise AssertionError(f"{call.__name__} gave {key} to {other}")

    # ---- what operators do ----

    @rule(target=looks, key=predictions)
    def look(self, key):
        return self.store.get(*key) if key in self.expected else multiple()

    @rule(look=looks)
    def give_up(self, look):
        key = (look.account, look.id)
        is_as_read = key in self.expected and self.store.get(*key) == look
        try:
            self.store.give_up(look, BAD_FILE)
        except (NotFound, WrongStatus):
            assert not (is_as_read and look.status is Status.QUEUED)
        else:
            assert is_as_read, "something had happened to it since"
            assert self.expected[key] is Status.QUEUED
            self.expected[key] = Status.FAILED

    @rule(look=looks)
    def call_off(self, look):
        key = (look.account, look.id)
        now = self.store.get(*key) if key in self.expected else None
        may = now is not None and now.status in UNFINISHED and now.attempt == look.attempt
        try:
            self.store.call_off(look, BAD_FILE)
        except (NotFound, WrongStatus):
            assert not may
        else:
            assert may, "it was finished, or at another attempt"
            self.expected[key] = Status.FAILED
            self.holder.pop(key, None)

    # ---- what workers do ----

    @rule(target=claims, key=predictions, owner=OWNERS)
    def start(self, key, owner):
        self.serial += 1
        owner = f"{owner}/{self.serial}"
        attempt = self.attempts[key]
        try:
            claimed = self.store.claim(*key, attempt, owner)
        except (NotFound, WrongStatus):
            assert self.expected.get(key) is not Status.QUEUED
            return multiple()
        assert self.expected[key] is Status.QUEUED
        self.expected[key] = Status.PROCESSING
        claim = claim_of(claimed)
        self.holder[key] = claim
        return claim

    @rule(key=predictions, owner=OWNERS, behind=st.integers(1, 3))
    def a_message_of_another_attempt_starts_nothing(self, key, owner, behind):
        for attempt in (self.attempts[key] - behind, self.attempts[key] + behind):
            try:
                self.store.claim(*key, attempt, owner)
            except (NotFound, WrongStatus):
                continue
            raise AssertionError(f"attempt {attempt} was claimed, not {self.attempts[key]}")

    def commit(self, claim, write, status):
        key = (claim.account, claim.id)
        refused = None
        try:
            write()
        except LeaseLost as lost:
            refused = lost
        if refused is not None:
            assert self.holder.get(key) != claim, "the holder was refused"
            assert refused.deleted == (key not in self.expected)
            if refused.deleted:  # as the worker does
                self.store.order_erasure(*key)
            return False
        assert self.holder.get(key) == claim, "a superseded claim was let in"
        self.expected[key] = status
        if status is not Status.PROCESSING:
            del self.holder[key]
        return True

    @rule(claim=claims, fraction=st.floats(0, 1))
    def renew(self, claim, fraction):
        def write():
            self.store.renew(claim, rows_done=7, fraction_done=fraction)

        self.commit(claim, write, Status.PROCESSING)

    @rule(claim=claims)
    def complete(self, claim):
        folder = f"results/{claim.account}/{claim.id}/{claim.attempt}"
        result = ResultFile(
            key=f"{folder}/result.csv",
            summary_key=f"{folder}/summary.json",
            rows=1,
            rows_failed=0,
            model="m",
        )
        self.cloud.s3.put_object(Bucket=self.cloud.results_bucket, Key=result.key, Body=b"x")

        def write():
            self.store.complete(claim, result, SUMMARY)

        if claim == self.completed.get((claim.account, claim.id)):
            write()  # its answer was lost, and the SDK makes the call again
            return
        if self.commit(claim, write, Status.COMPLETED):
            key = (claim.account, claim.id)
            self.completions[key] = self.completions.get(key, 0) + 1
            self.completed[key] = claim

    @rule(claim=claims)
    def fail(self, claim):
        self.commit(claim, lambda: self.store.fail(claim, BAD_FILE), Status.FAILED)

    @rule(claim=claims)
    def hand_back(self, claim):
        if self.commit(claim, lambda: self.store.hand_back(claim), Status.QUEUED):
            assert self.store.get(claim.account, claim.id).attempt == claim.attempt

    @rule(target=claims, claim=claims, owner=OWNERS)
    def another_takes_over_at_the_same_attempt(self, claim, owner):
        key = (claim.account, claim.id)
        if self.holder.get(key) != claim:
            return multiple()
        self.hand_back(claim)
        taken = self.start(key, owner)
        self.complete(claim)  # only the owner tells the two claims apart
        return taken

    @rule(claim=claims, delay_s=st.sampled_from([1, 900]))
    def put_off(self, claim, delay_s):
        if self.commit(claim, lambda: self.store.put_off(claim, delay_s=delay_s), Status.QUEUED):
            queued = self.store.get(claim.account, claim.id)
            assert queued.attempt == claim.attempt
            assert queued.delays > 0
            assert queued.due_at >= self.now + delay_s, "no sweeper sends it before"

    @rule(claim=consumes(claims))
    def worker_dies(self, claim):
        """Its claim stays in the record until the sweeper has watched it for a whole lease."""

    # ---- what time and the sweeper do ----

    @rule(seconds=st.sampled_from([1, 10, LEASE_S, RESEND_S, 4 * RESEND_S]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def sweep(self):
        before = {key: self.store.get(*key) for key in self.expected}
        self.sweeper.sweep()
        for key, was in before.items():
            now = self.store.get(*key)
            if now.status is was.status:
                continue
            assert was.status is Status.PROCESSING
            assert now.status in (Status.QUEUED, Status.FAILED)
            if now.status is Status.FAILED:
                assert now.failure.code == "attempts-used-up"
                assert was.crashes + 1 == MAX_ATTEMPTS
            else:
                assert now.attempt == was.attempt + 1
            self.expected[key] = now.status
            del self.holder[key]

    def everything_ends(self):
        """At the end one live worker and the sweeper must be able to finish all of it."""
        for _ in range(3 * MAX_ATTEMPTS):
            self.now += 24 * 3600  # longer than any resend time
            self.sweeper.sweep()
            while messages := self.cloud.queue.receive(wait_s=0):
                [received] = messages
                data = message.read(received.body).data
                key = (data.account, data.prediction_id)
                try:
                    claimed = self.store.claim(*key, data.attempt, "the-live-one")
                except (NotFound, WrongStatus):
                    pass
                else:
                    self.store.fail(claim_of(claimed), BAD_FILE)
                self.cloud.queue.delete(received)
        assert not list(self.store.queued_and_due())
        assert not list(self.store.processing())
        self.now += 24 * 3600
        assert not list(self.store.queued_and_due())
        for bucket in (self.cloud.uploads_bucket, self.cloud.results_bucket):
            listed = self.cloud.s3.list_object_versions(Bucket=bucket).get("Versions", ())
            for version in listed:
                _, account, prediction_id, *_ = version["Key"].split("/")
                assert (account, prediction_id) in self.expected, "a deleted file is still there"

    # ---- what must hold, always ----

    @invariant()
    def records_are_legal(self):
        for key, status in self.expected.items():
            record = self.store.get(*key)
            assert record.status is status
            assert record.attempt >= self.attempts[key], "an attempt never goes back"
            self.attempts[key] = record.attempt
            assert (record.failure is not None) == (status is Status.FAILED)
            assert (record.owner is not None) == (status is Status.PROCESSING)
            assert (record.due_at is not None) == (status in (Status.QUEUED, Status.PROCESSING)), (
                "only unfinished records are in the sparse index"
            )
            if status is Status.COMPLETED:
                head = self.cloud.s3.head_object(
                    Bucket=self.cloud.results_bucket, Key=record.result.key
                )
                assert head["ContentLength"] > 0
                assert self.completions[key] == 1, "completed once"

    @invariant()
    def the_pages_show_all_and_only_what_is_there(self):
        for account in ("anna", "ben"):
            shown = self.store.page(account, limit=1000).predictions
            mine = [id_ for owner, id_ in self.expected if owner == account]
            assert [p.id for p in shown] == sorted(mine, reverse=True)
            for status in Status:
                of_status = self.store.page(account, status=status, limit=1000).predictions
                assert {p.id for p in of_status} == {
                    id_
                    for (owner, id_), s in self.expected.items()
                    if (owner, s) == (account, status)
                }


Life.TestCase.settings = settings(
    max_examples=20,
    # A failure is shown as it was found: to look for a smaller one takes minutes here.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLife = pytest.mark.timeout(300)(Life.TestCase)  # a minute or so, on a busy machine more
