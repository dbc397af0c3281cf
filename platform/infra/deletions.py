"""Lets nothing of a protected stack be deleted but by its program, under the deploy lease.

Pulumi's `protect` keeps only what holds data: `pulumi destroy --skip-preview` takes down the rest
before it fails, and with `--ignore-protect` it takes down all. So each resource names a hook in the
state, and Pulumi's engine deletes it only in a run whose program has registered that hook, which
`require_lease` comes before. See docs/decisions/0008-only-a-deploy-deletes.md.
"""

from __future__ import annotations

import pulumi

from infra.settings import Settings

HOOK = "deleted-only-by-the-program-in-a-deploy"
"""The hook's name, which is what a person sees when a deletion is refused.

The state has it for each resource: under another name alone, none of them could be deleted.
"""


def fence_deletions(settings: Settings) -> None:
    """Bind each AWS resource of a protected stack to the program.

    To be called before anything is declared, and after `require_lease`.
    """
    # That it is registered is the permission; there is nothing left to ask. In a stack that is not
    # protected it is for what was made while it was, and is replaced or left out now.
    hook = pulumi.ResourceHook(HOOK, lambda _args: None)
    if not settings.data.protect:
        return
    fenced = pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_delete=[hook]))

    def bind(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith("aws:"):
            return None
        opts = pulumi.ResourceOptions.merge(args.opts, fenced)
        return pulumi.ResourceTransformationResult(args.props, opts)

    pulumi.runtime.register_stack_transformation(bind)
