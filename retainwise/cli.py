"""`retainwise`: one command line whose commands load only when they are called.

`retainwise predict` must never pay for Pulumi or Flask, so the table only names modules.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "adopt": ("retainwise.adopt:adopt", "Bring what was built by hand under management."),
    "bootstrap": ("operations.commands:bootstrap", "Prepare an account, once, for deploys."),
    "deploy": ("operations.commands:deploy", "Bring what this checkout declares to a stack."),
    "dlq": ("retainwise.dlq:dlq", "What nobody could finish: look, send again, settle."),
    "drift": ("operations.commands:drift", "Where AWS differs from what is declared."),
    "evaluate": ("model.commands:evaluate", "How good a model is on labelled customers."),
    "lease": ("operations.commands:lease", "Who changes a stack right now, or did last."),
    "predict": ("model.commands:predict", "Score a file, with no cloud at all."),
    "predictions": (
        "retainwise.predictions:predictions",
        "The records: look, find what is stuck, queue again, end.",
    ),
    "releases": ("operations.commands:releases", "What was deployed to a stack, newest first."),
    "rollback": ("operations.commands:rollback", "Bring back what ran in an earlier release."),
    "sample": ("model.commands:sample", "Make a realistic customer file."),
    "state": ("operations.commands:state", "The versions of a stack's state; put one back."),
    "submit": ("app.commands:submit", "Upload a file as any client of the API would."),
    "train": ("model.commands:train", "Train a model on any labelled CSV."),
    "up": ("retainwise.up:up", "Run the whole product on this machine."),
    "web": ("app.commands:web", "The web service, as its image starts it."),
    "worker": ("worker.commands:worker", "The worker service, as its image starts it."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None for a name that is not in the table."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their lines from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(COMMANDS.items())])


@click.command(cls=LazyGroup)
@click.version_option(package_name="retainwise")
def main() -> None:
    """RetainWise: which customers will leave, why, and what revenue is at risk."""
