"""Where the emulator takes the program otherwise than AWS does, and how it is put right.

The program says what AWS wants to hear; whatever the emulator makes of it is mended here and
nowhere else. Each entry goes when the emulator's own fix arrives.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import orjson
from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb, ec2, kms
from ministack.services.cloudformation import provisioners

# AWS knows no action for a batch: who may send, may send ten at once. Nor one for each of the calls
# that look at a budget.
ACTIONS = {
    "budgets:DescribeBudget": "budgets:ViewBudget",
    "budgets:DescribeBudgets": "budgets:ViewBudget",
    "budgets:DescribeNotificationsForBudget": "budgets:ViewBudget",
    "budgets:DescribeSubscribersForNotification": "budgets:ViewBudget",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}

# What AWS judges these calls on, by the request's fields; `here` is region and account. One that
# names several, or none, is judged as about all: who may look at some of them only is refused.
RESOURCES = {
    "backup:DescribeBackupVault": "arn:aws:backup:{here}:backup-vault:{BackupVaultName}",
    "backup:GetBackupPlan": "arn:aws:backup:{here}:backup-plan:{BackupPlanId}",
    "backup:GetBackupSelection": "arn:aws:backup:{here}:backup-plan:{BackupPlanId}",
    "backup:ListBackupSelections": "arn:aws:backup:{here}:backup-plan:{BackupPlanId}",
    "backup:ListTags": "{ResourceArn}",
    "budgets:ListTagsForResource": "{ResourceARN}",
    "budgets:ViewBudget": "arn:aws:budgets::{account}:budget/{BudgetName}",
    "cloudwatch:DescribeAlarms": "arn:aws:cloudwatch:{here}:alarm:*",
    "cloudwatch:GetDashboard": "arn:aws:cloudwatch::{account}:dashboard/{DashboardName}",
    "cloudwatch:ListTagsForResource": "{ResourceARN}",
    "dynamodb:ListTagsOfResource": "{ResourceArn}",
    "ecr:DescribeRepositories": "arn:aws:ecr:{here}:repository/{repositoryNames}",
    "ecs:DescribeClusters": "arn:aws:ecs:{here}:cluster/{clusters}",
    "ecs:DescribeServices": "arn:aws:ecs:{here}:service/{cluster}/{services}",
    "events:ListTagsForResource": "{ResourceARN}",
    "events:ListTargetsByRule": "arn:aws:events:{here}:rule/default/{Rule}",
    "sns:ListTagsForResource": "{ResourceArn}",
    "wafv2:GetWebACLForResource": "{ResourceArn}",
    "wafv2:ListTagsForResource": "{ResourceARN}",
}
_IN_PATH = re.compile(
    "/backup-vaults/(?P<BackupVaultName>[^/]+)"
    "|/backup/plans/(?P<BackupPlanId>[^/]+)"
    "|/tags/(?P<ResourceArn>[^/]+)"
)


def mend() -> None:
    """Put the emulator right, once, before it serves."""
    _name_actions_as_aws_does()
    _judge_calls_by_what_they_are_about()
    _judge_calls_on_an_alias_by_its_key()
    _know_the_keys_that_are_in_several_regions()
    _let_ecs_say_for_whom_it_acts()
    _take_the_loopback_for_tls()
    _keep_the_prefix_lists_of_rules()
    _refer_to_secrets_by_their_arn()
    _read_a_text_once()
    _write_items_fast()


def _name_actions_as_aws_does() -> None:
    extract = iam_actions.extract_iam_action

    def extract_iam_action(*request: object) -> str | None:
        action: str | None = extract(*request)
        return ACTIONS.get(action or "", action)

    iam_actions.extract_iam_action = extract_iam_action


def _judge_calls_by_what_they_are_about() -> None:
    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: object,
        body: bytes,
        query: Mapping[str, Any],
        region: str,
        account: str,
    ) -> str:
        request = (service, method, path, headers, body, query)
        template = RESOURCES.get(iam_actions.extract_iam_action(*request) or "")
        if template is None:
            arn: str = extract(*request, region, account)
        else:
            named = _named(path, body, query) | {"account": account, "here": f"{region}:{account}"}
            arn = template.format_map(defaultdict(lambda: "*", named))
        # A rule of the default bus is called by its name alone.
        return arn.replace(":rule/default/", ":rule/")

    iam_actions.extract_resource_arn = extract_resource_arn


def _named(path: str, body: bytes, query: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a request that have one value; of an ARN given for a name, the name."""
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        said = {}  # a form: the query has its fields
    in_path = _IN_PATH.search(unquote(path))
    fields = {**query, **(in_path.groupdict() if in_path else {})}
    fields |= said if isinstance(said, dict) else {}
    named = {}
    for field, value in fields.items():
        match value:
            case str(one) | [str(one)]:
                of_arn = one.startswith("arn:") and not field.lower().endswith("arn")
                named[field] = one.rpartition("/")[2] if of_arn else one
    return named


def _know_the_keys_that_are_in_several_regions() -> None:
    """Find such a key's id in what it has encrypted, which says by which key it is opened."""
    plain = iam_actions._KMS_KEY_ID_RE.pattern
    iam_actions._KMS_KEY_ID_RE = re.compile(f"{plain}|^mrk-[0-9a-f]{{32}}$")


def _judge_calls_on_an_alias_by_its_key() -> None:
    """Hold a call that names a key by its alias against policies on the key, as AWS does."""
    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(service: str, *request: object, **more: object) -> str:
        arn: str = extract(service, *request, **more)
        if service == "kms" and ":alias/" in arn and (key := kms._resolve_key(arn)) is not None:
            of_key: str = key["Arn"]
            return of_key
        return arn

    iam_actions.extract_resource_arn = extract_resource_arn


def _let_ecs_say_for_whom_it_acts() -> None:
    """Root stands in for ECS here, so its calls carry what ECS's own calls carry."""
    evaluate = iam_evaluator.evaluate_trust_policy

    def evaluate_trust_policy(
        trust: object, caller_arn: str, context: iam_evaluator.EvalContext | None = None
    ) -> bool:
        if context is not None and caller_arn.endswith(":root"):
            account, region = context.principal_account, context.region
            context.service_context["aws:sourceaccount"] = account
            context.service_context["aws:sourcearn"] = f"arn:aws:ecs:{region}:{account}:task"
        verdict: bool = evaluate(trust, caller_arn, context)
        return verdict

    iam_evaluator.evaluate_trust_policy = evaluate_trust_policy


def _take_the_loopback_for_tls() -> None:
    """Speak plain HTTP with what refuses all but TLS: here, nothing leaves the machine.

    Every bucket and queue of the program denies what comes without it, to root as well.
    """
    resolve = iam_evaluator._resolve_condition_key

    def _resolve_condition_key(key: str, context: iam_evaluator.EvalContext) -> object:
        return "true" if key.lower() == "aws:securetransport" else resolve(key, context)

    iam_evaluator._resolve_condition_key = _resolve_condition_key


def _keep_the_prefix_lists_of_rules() -> None:
    """Read the prefix list of a security group's rule, and tell it: without, two rules are one."""
    parse, describe = ec2._parse_ip_permissions, ec2._sg_rule_xml

    def _parse_ip_permissions(parameters: object, prefix: str) -> list[dict[str, object]]:
        rules: list[dict[str, object]] = parse(parameters, prefix)
        for number, rule in enumerate(rules, start=1):
            one = f"{prefix}.{number}.PrefixListIds.1"  # the program names one in a rule
            if prefix_list := ec2._p(parameters, f"{one}.PrefixListId"):
                description = ec2._p(parameters, f"{one}.Description")
                rule["PrefixListIds"] = [{"PrefixListId": prefix_list, "Description": description}]
        return rules

    def _sg_rule_xml(group: str, rule: dict[str, Any], is_egress: bool = False) -> str:
        told: str = describe(group, rule, is_egress)
        for one in rule.get("PrefixListIds", ()):
            told = told.replace(
                "</item>", f"<prefixListId>{one['PrefixListId']}</prefixListId></item>"
            )
        return told

    ec2._parse_ip_permissions, ec2._sg_rule_xml = _parse_ip_permissions, _sg_rule_xml


def _refer_to_secrets_by_their_arn() -> None:
    """Answer a template's reference to a secret with its ARN, where the emulator gives its name."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = (handlers[step] for step in ("create", "update", "delete"))

    def name(arn: str) -> str:
        secrets = provisioners._sm._secrets.items()
        return next((name for name, secret in secrets if secret["ARN"] == arn), arn)

    def by_arn(answer: tuple[str, dict[str, str]]) -> tuple[str, dict[str, str]]:
        return answer[1]["Arn"], answer[1]

    handlers["create"] = lambda *rest: by_arn(create(*rest))
    handlers["update"] = lambda arn, *rest: by_arn(update(name(arn), *rest))
    handlers["delete"] = lambda arn, *rest: delete(name(arn), *rest)


def _read_a_text_once() -> None:
    """Keep what an expression or a policy says; it is read anew for each item and each call.

    That was half of the time of a query. None of those who get it changes it.
    """
    once = lru_cache(maxsize=1024)
    dynamodb._tokenize = once(dynamodb._tokenize)
    dynamodb._condition_syntax_error = once(dynamodb._condition_syntax_error)
    parse = iam_evaluator.parse_policy_document
    parse_text = once(parse)
    iam_evaluator.parse_policy_document = lambda document: (
        parse_text(document) if isinstance(document, str) else parse(document)
    )


def _write_items_fast() -> None:
    """Write DynamoDB's answers with a faster encoder: a page of a list is forty kilobytes."""
    respond = dynamodb.json_response

    def json_response(answer: object, *rest: object, **named: object) -> tuple[object, ...]:
        status, headers, _ = respond({}, *rest, **named)
        return status, headers, orjson.dumps(answer)

    dynamodb.json_response = json_response
