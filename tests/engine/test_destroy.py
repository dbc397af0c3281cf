"""Nothing of a protected stack is deleted but by its program in a deploy, whatever is typed."""

from __future__ import annotations

import pytest

from infra.deletions import HOOK

BEGIN = """
import pulumi
import pulumi_aws as aws

from infra.deletions import fence_deletions
from infra.deploy_lease import require_lease
from infra.settings import read_settings

settings = read_settings()
require_lease(settings, "prod-retainwise")
fence_deletions(settings)
"""
TOPIC = 'aws.sns.Topic("alarms", name="{}")\n'
QUEUE = """
kept = pulumi.ResourceOptions(protect=settings.data.protect)
aws.sqs.Queue("jobs", name="prod-retainwise-jobs", opts=kept)
"""
PROGRAM = BEGIN + QUEUE + TOPIC.format("prod-retainwise-alarms")
ALL = {"prod-retainwise-jobs", "prod-retainwise-alarms"}


@pytest.fixture(scope="module", autouse=True)
def _prod(project):
    project.new_stack("prod", alone=True)


@pytest.fixture
def bring(project, deploy):
    """Deploy this program."""

    def go(program, code=0):
        project.use_program(program)
        return deploy("prod", code=code)

    return go


@pytest.fixture
def stack(project, bring):
    """The queue, which is protected, and the topic, which is not."""
    bring(PROGRAM)
    assert there(project) == ALL
    return project


def there(project):
    """What is in AWS, and in the state as well."""
    sqs, sns = project.emulator.client("sqs"), project.emulator.client("sns")
    queues = [url.rpartition("/")[2] for url in sqs.list_queues().get("QueueUrls", [])]
    topics = [one["TopicArn"].rpartition(":")[2] for one in sns.list_topics()["Topics"]]
    in_aws = {*queues, *topics}
    assert {one["outputs"]["name"] for one in in_state(project)} == in_aws
    return in_aws


def in_state(project):
    return [one for one in project.engine("prod").state() if one["type"].startswith("aws:")]


def fenced(project):
    """The names of the resources that the state lets nobody delete without the hook."""
    return {
        one["outputs"]["name"]
        for one in in_state(project)
        if one.get("resourceHooks", {}).get("BeforeDelete") == [HOOK]
    }


NOT_HERE = "Resource has delete hooks registered, but the program is not running"
NOT_LEASED = "run `retainwise deploy prod`, not `pulumi up`"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", NOT_HERE),
        ("--skip-preview", NOT_HERE),
        ("--skip-preview --ignore-protect", NOT_HERE),
        ("--skip-preview --run-program --ignore-protect", NOT_LEASED),
    ],
)
def test_destroy_deletes_nothing(stack, options, says):
    done = stack.pulumi("prod", "destroy", "--yes", *options.split())
    assert done.returncode == 1
    assert says in done.stdout
    assert there(stack) == ALL


def test_an_emptied_program_deletes_nothing(stack):
    """It asks for no lease either, as any program run by mistake on this stack."""
    stack.use_program("")
    options = ("--yes", "--skip-preview", "--ignore-protect", "--continue-on-error")
    done = stack.pulumi("prod", "up", *options)
    assert done.returncode == 1
    assert f'hook "{HOOK}" was not registered' in done.stdout
    assert there(stack) == ALL


def test_nor_does_a_deploy_of_it(stack, bring):
    assert f'hook "{HOOK}" was not registered' in bring("", code=1)
    assert "cannot be deleted" in bring(BEGIN, code=1)
    assert there(stack) == ALL


def test_a_deploy_replaces_and_deletes_what_its_preview_showed(stack, bring):
    said = bring(BEGIN + QUEUE + TOPIC.format("prod-retainwise-pages"))
    assert "1 to replace" in said
    assert there(stack) == fenced(stack) == {"prod-retainwise-jobs", "prod-retainwise-pages"}
    assert "1 to delete" in bring(BEGIN + QUEUE)
    assert there(stack) == fenced(stack) == {"prod-retainwise-jobs"}


def test_what_was_imported_is_fenced_by_the_next_deploy_that_changes_anything(stack, bring):
    [topic] = [one for one in in_state(stack) if one["type"] == "aws:sns/topic:Topic"]
    stack.pulumi("prod", "state", "delete", topic["urn"], "--yes").check_returncode()
    options = ("--protect=false", "--generate-code=false", "--yes", "--skip-preview")
    what = (topic["type"], "alarms", topic["id"])
    stack.pulumi("prod", "import", *what, *options).check_returncode()
    assert fenced(stack) == {"prod-retainwise-jobs"}
    # One resource with a hook is enough for `destroy` as a whole.
    target = ("--target", topic["urn"], "--skip-preview", "--yes")
    assert stack.pulumi("prod", "destroy", *target).returncode == 1
    more = TOPIC.replace('"alarms"', '"more"').format("prod-retainwise-more")
    bring(PROGRAM + more)
    assert there(stack) == fenced(stack) == {*ALL, "prod-retainwise-more"}


def test_a_stack_that_is_protected_no_longer_can_be_destroyed(stack, bring):
    stack.change("prod", "data", protect=False)
    # What the same deploy replaces was fenced still when it was made.
    bring(BEGIN + QUEUE + TOPIC.format("prod-retainwise-last"))
    assert there(stack) == {"prod-retainwise-jobs", "prod-retainwise-last"}
    assert fenced(stack) == set()
    done = stack.pulumi("prod", "destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert there(stack) == set()
