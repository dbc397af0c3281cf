"""Where the emulator judges IAM otherwise than AWS does, and how it is put right.

The program's policies say what AWS wants to hear; whatever the emulator makes of it is mended here
and nowhere else. Each entry goes when the emulator's own fix arrives.
"""

from __future__ import annotations

from ministack.core import iam_actions, iam_evaluator

# AWS knows no action for a batch: who may send, may send ten at once.
ACTIONS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}


def mend() -> None:
    """Put the emulator's judgement right, once, before it serves."""
    _name_actions_as_aws_does()
    _let_ecs_say_for_whom_it_acts()


def _name_actions_as_aws_does() -> None:
    extract = iam_actions.extract_iam_action

    def extract_iam_action(*request: object) -> str | None:
        action: str | None = extract(*request)
        return ACTIONS.get(action or "", action)

    iam_actions.extract_iam_action = extract_iam_action


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
