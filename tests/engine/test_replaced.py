"""What was replaced and could not be deleted then: nothing of it stays, whichever way one goes on.

As when a deploy is killed between the making of the new and the deletion of the old, or AWS refuses
to delete it.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from engine.stand_in import Refused

TOPICS = """
import pulumi
import pulumi_aws as aws

news = aws.sns.Topic("news", name="dev-retainwise-{name}")
aws.sns.TopicSubscription(
    "reader", topic=news.arn, protocol="email", endpoint="{name}@example.com"
)
"""


@pytest.fixture(scope="module", autouse=True)
def _dev(project):
    project.new_stack("dev", alone=True)


@pytest.fixture
def bring(project, deploy):
    def bring(name, code=0):
        project.use_program(TOPICS.format(name=name) if name else "")
        return deploy("dev", code=code)

    yield bring
    bring("")


@contextmanager
def refusing_to_delete(project, monkeypatch):
    def before(what, name):
        if what == "delete":
            raise Refused(f"{name} cannot be deleted now")

    with monkeypatch.context() as patch:
        patch.setattr(project.provider, "before", before)
        yield


@pytest.fixture
def half_replaced(project, bring, monkeypatch):
    """Of all, `b` has come in the place of `a`, and nothing of `a` could be deleted."""
    bring("a")
    with refusing_to_delete(project, monkeypatch):
        bring("b", code=1)
    assert topics(project) == ["dev-retainwise-a", "dev-retainwise-b"]


@pytest.fixture
def made(project, monkeypatch):
    """The names of what is made from now on."""
    made = []

    def before(what, name):
        if what == "create":
            made.append(name)

    monkeypatch.setattr(project.provider, "before", before)
    return made


def topics(project):
    listed = project.emulator.client("sns").list_topics()["Topics"]
    return sorted(one["TopicArn"].rpartition(":")[2] for one in listed)


def arn(project, name):
    listed = project.emulator.client("sns").list_topics()["Topics"]
    return next(one["TopicArn"] for one in listed if one["TopicArn"].endswith(f"-{name}"))


def check(project, run, name):
    assert topics(project) == [f"dev-retainwise-{name}"]
    subscriptions = project.emulator.client("sns").list_subscriptions()["Subscriptions"]
    assert [one["Endpoint"] for one in subscriptions] == [f"{name}@example.com"]
    assert not any(one.get("delete") for one in project.engine("dev").state())
    run("drift", "dev")


@pytest.mark.usefixtures("half_replaced")
def test_it_is_told_and_deleted_though_nothing_else_is_to_change(project, bring, run, made):
    left = f"Topic news (replaced: {arn(project, 'a')})"
    assert f"{left} is there and no longer declared" in run("drift", "dev", code=7).output
    said = bring("b")
    assert "2 to delete" in said
    assert f"delete  {left}" in said
    assert made == []
    check(project, run, "b")


@pytest.mark.usefixtures("half_replaced")
def test_going_back_takes_it_back_and_makes_nothing_a_second_time(project, bring, run, made):
    said = bring("a")
    assert "Topic news, which was replaced and is there still, is taken back" in said
    assert made == []
    check(project, run, "a")


@pytest.mark.usefixtures("half_replaced")
def test_who_says_no_finds_the_state_as_it_was(project, run):
    before = marked(project)
    assert any(before.values())
    project.use_program(TOPICS.format(name="a"))
    assert "is taken back" in run("deploy", "dev", code=2).output  # nobody is there to ask
    assert marked(project) == before


def marked(project):
    """Of all in the state, whether it is marked as replaced."""
    state = project.engine("dev").state()
    return {one["id"]: one.get("delete") for one in state if one.get("id")}


@pytest.mark.usefixtures("half_replaced")
def test_going_elsewhere_deletes_all_that_was_before(project, bring, run, made):
    bring("c")
    assert made == ["news", "reader"]
    check(project, run, "c")


@pytest.mark.usefixtures("half_replaced")
def test_what_somebody_has_deleted_meanwhile_is_made_anew(project, bring, run, made):
    project.emulator.client("sns").delete_topic(TopicArn=arn(project, "a"))
    bring("a")
    assert made == ["news", "reader"]
    check(project, run, "a")


@pytest.mark.usefixtures("half_replaced")
def test_what_is_current_may_have_been_deleted(project, bring, run):
    project.emulator.client("sns").delete_topic(TopicArn=arn(project, "b"))
    bring("a")
    check(project, run, "a")


@pytest.mark.usefixtures("half_replaced")
def test_when_it_is_declared_no_longer_nothing_of_it_stays(project, bring):
    bring("")
    assert topics(project) == []
    assert project.emulator.client("sns").list_subscriptions()["Subscriptions"] == []
    assert not any(one["type"].startswith("aws:") for one in project.engine("dev").state())
    assert "nothing to change" in bring("")


QUEUE = """
import pulumi_aws as aws

aws.sqs.Queue("jobs", name="dev-retainwise-{name}")
"""


def test_what_holds_data_is_deleted_only_by_name(project, deploy, monkeypatch):
    """Also while it is put back, or rolled back, and with two that were replaced one by one."""
    project.use_program(QUEUE.format(name="a"))
    deploy("dev")
    with refusing_to_delete(project, monkeypatch):
        for name in "bc":
            project.use_program(QUEUE.format(name=name))
            said = deploy("dev", "--allow-replace", "jobs", code=1)
            assert "would be lost" not in said
    assert "--allow-replace jobs" in deploy("dev", command="rollback", code=2)
    said = deploy("dev", code=2)
    assert said.count("--allow-replace jobs") == 1
    assert queues(project) == [f"dev-retainwise-{name}" for name in "abc"]
    deploy("dev", "--allow-replace", "jobs")
    assert queues(project) == ["dev-retainwise-c"]
    project.use_program("")
    deploy("dev", "--allow-replace", "jobs")


def queues(project):
    urls = project.emulator.client("sqs").list_queues().get("QueueUrls", [])
    return sorted(url.rpartition("/")[2] for url in urls)
