"""What was replaced and could not be deleted then: nothing of it stays, whichever way one goes on.

As when a deploy is killed between the making of the new and the deletion of the old, or AWS refuses
to delete it.
"""

from __future__ import annotations

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


@pytest.fixture
def half_replaced(project, bring, monkeypatch):
    """Of all, `b` has come in the place of `a`, and nothing of `a` could be deleted."""
    bring("a")

    def before(what, name):
        if what == "delete":
            raise Refused(f"{name} cannot be deleted now")

    with monkeypatch.context() as patch:
        patch.setattr(project.provider, "before", before)
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


def check(project, run, name):
    assert topics(project) == [f"dev-retainwise-{name}"]
    subscriptions = project.emulator.client("sns").list_subscriptions()["Subscriptions"]
    assert [one["Endpoint"] for one in subscriptions] == [f"{name}@example.com"]
    assert not any(one.get("delete") for one in project.engine("dev").state())
    run("drift", "dev")


@pytest.mark.usefixtures("half_replaced")
def test_it_is_told_and_deleted_though_nothing_else_is_to_change(project, bring, run, made):
    assert (
        "Topic news (replaced) is there and no longer declared"
        in run("drift", "dev", code=7).output
    )
    said = bring("b")
    assert "2 to delete" in said
    assert "delete  Topic news (replaced)" in said
    assert made == []
    check(project, run, "b")


@pytest.mark.usefixtures("half_replaced")
def test_going_back_takes_it_back_and_makes_nothing_a_second_time(project, bring, run, made):
    said = bring("a")
    assert "Topic news, which was replaced and is there still, is taken back" in said
    assert made == []
    check(project, run, "a")


@pytest.mark.usefixtures("half_replaced")
def test_going_elsewhere_deletes_all_that_was_before(project, bring, run, made):
    bring("c")
    assert made == ["news", "reader"]
    check(project, run, "c")


@pytest.mark.usefixtures("half_replaced")
def test_when_it_is_declared_no_longer_nothing_of_it_stays(project, bring):
    bring("")
    assert topics(project) == []
