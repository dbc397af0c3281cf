"""The commands that need no cloud: train, evaluate, predict and sample.

What they do is imported inside them, so that `--help` waits for nothing.
"""

from __future__ import annotations

import gc
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from model.artifact import SHIPPED, load
from model.scoring.processors import processors
from predictions.errors import BadCustomerFile, MissingColumns
from predictions.refusals import missing_values, new_values, out_of_range, shown
from predictions.schema import BadArtifact
from predictions.unfinished import tidy_at_signals

if TYPE_CHECKING:
    from model.artifact import Metrics, Model
    from model.scoring.predict import Scored

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

NAMED = 3
"""Of the columns that another business's file has not."""
PROGRESS_STEPS = 1_000
LARGEST_SEED = 2**32 - 1
"""That NumPy and scikit-learn take."""
_FIGURES = {
    "accuracy": ("accuracy", ".4f"),
    "auc": ("AUC", ".4f"),
    "log_loss": ("log loss", ".4f"),
    "brier": ("Brier score", ".4f"),
    "ece": ("calibration error (ECE)", ".4f"),
    "top_decile_precision": ("left, of the top tenth", ".1%"),
}
"""Of `Metrics`: what each is called, and how many digits say something."""
_UPLOAD = re.compile(r"\b([Uu])pload(?= (?:that|the|a)\b)")


def _in_a_folder(
    _context: click.Context, _parameter: click.Parameter, target: Path | None
) -> Path | None:
    """Check where a result is to go; of a link it is what it leads to."""
    if target is None:
        return None
    try:
        if not target.parent.is_dir():
            raise click.BadParameter(f"there is no folder {target.parent}")
        if target.exists() and not target.is_file():
            raise click.BadParameter(f"{target} is no regular file, and would be replaced by one")
        return target.resolve() if target.is_symlink() else target
    except OSError as exc:
        raise click.BadParameter(f"{target}: {exc.strerror}") from exc


def _regular(_context: click.Context, _parameter: click.Parameter, source: Path) -> Path:
    """Refuse what can be read only once, such as a pipe."""
    if not source.is_file():
        raise click.BadParameter(f"{source} is no regular file: write it into one first")
    return source


def _numbers(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(number) for number in text.split(","))
        if all(0 <= number <= LARGEST_SEED for number in numbers):
            return numbers
        raise click.BadParameter(f"a seed is a number from 0 to {LARGEST_SEED:,}")
    except ValueError as exc:
        raise click.BadParameter(f"{text!r} is no list of whole numbers such as 0,1,2") from exc


def _column(_context: click.Context, parameter: click.Parameter, given: T) -> T:
    """Check the names of columns, and the words, that a person gives: one or several."""
    texts = given if isinstance(given, tuple) else (given,)
    for text in map(str, filter(lambda one: one is not None, texts)):
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise click.BadParameter("this is not UTF-8") from exc
        if parameter.name != "positive" and not text.strip():
            raise click.BadParameter("a column's name cannot be blank")
    return given


existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
model_option = click.option(
    "--model",
    "model_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=SHIPPED,
    help="Folder of the model; without it the one that comes with the program.",
)
label_option = click.option(
    "--label",
    metavar="COLUMN",
    required=True,
    callback=_column,
    help="Column that says whether the customer left.",
)


def training_options(prefix: str = "") -> Callable[[F], F]:
    """Add the options that say how a file is to be trained on. prefix: of what their help says."""
    options = (
        click.option(
            "--positive",
            metavar="WORD",
            callback=_column,
            help=f"{prefix}The label's word for a customer who left; usually found.",
        ),
        click.option(
            "--id",
            "id_column",
            metavar="COLUMN",
            callback=_column,
            help=f"{prefix}Column with the customer's id.",
        ),
        click.option(
            "--leave-out",
            "left_out",
            metavar="COLUMN",
            multiple=True,
            callback=_column,
            help=f"{prefix}Do not learn from this column. Can be given again.",
        ),
        click.option(
            "--keep",
            "kept",
            metavar="COLUMN",
            multiple=True,
            callback=_column,
            help=f"{prefix}Learn from this column though it knows the label, which is refused "
            "otherwise. Can be given again.",
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("source", metavar="IN.csv", type=existing_file, callback=_regular)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_in_a_folder,
    help="Result file; without it IN.scored.csv beside the input.",
)
@model_option
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=processors,
    show_default="as many as there are processors",
    help="How many score at a time.",
)
@click.option("--reasons/--no-reasons", default=True, help="Whether to say why; else it is faster.")
@json_option
def predict(
    source: Path, target: Path | None, model_dir: Path, threads: int, reasons: bool, as_json: bool
) -> None:
    """Score the customers of a CSV file on this machine, with no cloud at all."""
    target = target or source.with_suffix(".scored.csv")
    if target.exists() and target.samefile(source):
        raise click.UsageError(f"{target} is the input: it would be overwritten.")
    with explained(), progress_bar("scoring") as progress:
        with _nothing_to_collect():
            from model.scoring.predict import score_file

            model = load(model_dir)
        with _customers_known(model):
            scored = score_file(
                source,
                target,
                model,
                threads=threads,
                progress=lambda _, fraction: progress(fraction),
                reasons=reasons,
            )
    if as_json:
        say_json(
            output=str(target),
            model=model.version,
            rows=scored.rows,
            rows_failed=scored.rows_failed,
            summary=scored.summary.model_dump(mode="json"),
            customers_at_risk=[c.model_dump(mode="json") for c in scored.customers_at_risk],
        )
    else:
        _say_scored(scored, target, model.version)
        if scored.ids_are_row_numbers and (name := model.schema.id_column) is not None:
            click.echo(f"warning: The file has no column `{name}`: rows are numbered.", err=True)
    if scored.rows == scored.rows_failed:
        raise click.ClickException(f"no row could be scored: see the column error of {target}")


def _say_scored(scored: Scored, target: Path, version: str) -> None:
    summary = scored.summary
    click.echo(f"{scored.rows - scored.rows_failed:,} customers scored into {target} by {version}")
    if scored.rows_failed:
        click.echo(f"without a score: {scored.rows_failed:,} (see the column error)")
    click.echo(f"expected to leave, by the sum of probabilities: {summary.expected_churners:,.0f}")
    click.echo(f"predicted to leave, one by one: {summary.predicted_churners:,}")
    if summary.revenue_at_risk is not None:
        click.echo(f"revenue at risk: {summary.revenue_at_risk:,.2f}")
    click.echo("risk: " + ", ".join(f"{b.name} {b.customers:,}" for b in summary.bands))
    for reason in summary.top_reasons[:3]:
        click.echo(f"  {reason.customers:,} customers: {reason.reason}")
    for missing in summary.missing_values:
        click.echo(f"note: {missing_values(missing)}", err=True)
    for unlike in summary.out_of_range:
        click.echo(f"warning: {out_of_range(unlike)}", err=True)
    for new in summary.new_values:
        click.echo(f"warning: {new_values(new, scored.new_values)}", err=True)


@click.command()
@click.argument("source", metavar="IN.csv", type=existing_file, callback=_regular)
@label_option
@training_options()
@click.option(
    "--revenue",
    "revenue_column",
    metavar="COLUMN",
    callback=_column,
    help="Column with the customer's revenue per month.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write the model and its card to.",
)
@json_option
def train(
    source: Path,
    label: str,
    positive: str | None,
    id_column: str | None,
    revenue_column: str | None,
    left_out: tuple[str, ...],
    kept: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Train a model on a labelled CSV, measure it by cross-validation and write its card.

    A column that knows the label, as if filled in once a customer has left, is refused by its name:
    --leave-out such a column; or --keep it, and be warned.
    """
    _check_roles(label, id_column, revenue_column, *left_out)
    _check_roles(label, id_column, *left_out, *set(kept))  # revenue may be kept: it is a feature
    with explained(), _columns_named(), progress_bar("training") as progress:
        from model.training.train import train as train_model

        schema = train_model(
            source,
            label=label,
            positive=positive,
            id_column=id_column,
            revenue_column=revenue_column,
            left_out=left_out,
            kept=kept,
            out=out,
            progress=progress,
        )
    if as_json:
        say_json(
            output=str(out),
            model=schema.version,
            metrics=schema.metrics.model_dump(),
            standard_errors=schema.training.standard_errors,
            dropped_columns=schema.training.dropped_columns,
            warnings=schema.training.warnings,
        )
        return
    click.echo(f"{schema.version} is in {out}")
    say_metrics(schema.metrics, schema.training.standard_errors)
    for name, why in schema.training.dropped_columns.items():
        click.echo(f"left out: {name} ({why})")
    _warn(schema.training.warnings)


@click.command()
@click.argument("source", metavar="IN.csv", type=existing_file, callback=_regular)
@label_option
@model_option
@click.option(
    "--cv",
    "is_cv",
    is_flag=True,
    help="Measure training instead of a model: fit to a part, predict the rest, 5 times a seed.",
)
@click.option(
    "--seeds",
    default="0,1,2",
    show_default=True,
    callback=_numbers,
    help="With --cv: each shuffles the rows into other folds.",
)
@training_options("With --cv: ")
@json_option
def evaluate(
    source: Path,
    label: str,
    model_dir: Path,
    is_cv: bool,
    seeds: tuple[int, ...],
    positive: str | None,
    id_column: str | None,
    left_out: tuple[str, ...],
    kept: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure a model on labelled customers, or with --cv how good one trained on them will be.

    With --cv a column that knows the label is refused by its name, as `train` does.
    """
    if is_cv:
        _evaluate_training(source, label, positive, id_column, left_out, kept, seeds, as_json)
        return
    if positive is not None or id_column or left_out or kept:
        raise click.UsageError("--positive, --id, --leave-out and --keep go with --cv.")
    with explained(), progress_bar("evaluating") as progress:
        from model.training.evaluate import evaluate as evaluate_model

        model = load(model_dir)
        with _customers_known(model):
            evaluation = evaluate_model(
                source, label, model, progress=lambda _, fraction: progress(fraction)
            )
    if as_json:
        say_json(
            model=model.version,
            metrics=evaluation.metrics.model_dump(),
            rows_failed=evaluation.rows_failed,
            trained_on_it=evaluation.trained_on_it,
        )
        return
    click.echo(f"{model.version} on {source}")
    say_metrics(evaluation.metrics)
    if evaluation.rows_failed:
        click.echo(f"{evaluation.rows_failed:,} rows could not be scored and are not counted")
    if evaluation.trained_on_it:
        click.echo(
            "The model was trained on this file, which flatters it: see its card, or use --cv."
        )


def _evaluate_training(
    source: Path,
    label: str,
    positive: str | None,
    id_column: str | None,
    left_out: tuple[str, ...],
    kept: tuple[str, ...],
    seeds: tuple[int, ...],
    as_json: bool,
) -> None:
    _check_roles(label, id_column, *left_out, *set(kept))
    with explained(), _columns_named(), progress_bar("evaluating") as progress:
        from model.training.evaluate import evaluate_training

        result, warnings = evaluate_training(
            source,
            label,
            positive=positive,
            id_column=id_column,
            left_out=left_out,
            kept=kept,
            seeds=seeds,
            progress=progress,
        )
    if as_json:
        say_json(
            seeds=seeds,
            metrics=result.metrics.model_dump(),
            standard_errors=result.standard_errors,
            warnings=warnings,
        )
        return
    click.echo(f"5-fold cross-validation of {source}, seeds {', '.join(map(str, seeds))}")
    say_metrics(result.metrics, result.standard_errors)
    _warn(warnings)


@click.command()
@click.option("-n", "--rows", type=click.IntRange(min=1), required=True, help="Customers to make.")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_in_a_folder,
    help="File to write; without it standard output.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_default=True,
    help="Another one, other rows.",
)
@json_option
def sample(rows: int, out: Path | None, seed: int, as_json: bool) -> None:
    """Make a realistic customer file."""
    from model.sample import sample as write_sample

    if out is None:
        if as_json:
            raise click.UsageError("--json needs -o: standard output has the customers already.")
        write_sample(rows, seed, sys.stdout.buffer, lambda _: None)
        return
    with explained(), progress_bar("sampling") as progress, out.open("wb") as file:
        write_sample(rows, seed, file, progress)
    if as_json:
        say_json(output=str(out), rows=rows, seed=seed)
    else:
        click.echo(f"{rows:,} customers are in {out}")


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Spare the garbage collector what the block loads.

    All of it stays to the end, and to look through it again and again, and once more at the end,
    takes a third of the time of a small file.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def explained() -> Iterator[None]:
    """Turn what went wrong into words and an exit code: 2 what was given is wrong, 1 else.

    SIGTERM and SIGHUP end the block as Ctrl-C does, so that nothing unfinished is left behind.
    """
    try:
        with tidy_at_signals():
            yield
    except BadCustomerFile as exc:
        # The words are also those of the pages, where a file is uploaded; here it is given.
        hint = _UPLOAD.sub(lambda found: f"{'G' if found[1] == 'U' else 'g'}ive", exc.failure.hint)
        raise click.UsageError(f"{exc.failure.message} {hint}") from exc
    except BadArtifact as exc:
        raise click.UsageError(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(str(exc)) from exc


@contextmanager
def _customers_known(model: Model) -> Iterator[None]:
    """Say it in a line where a file has hardly a column of the model: it is another business's."""
    try:
        yield
    except MissingColumns as exc:
        needed = model.schema.needed_columns
        missing = [column.name for column in exc.missing if column.name in needed]
        if not exc.header or len(missing) <= len(needed) / 2:
            raise
        first = ", ".join(map(shown, missing[:NAMED]))
        raise click.UsageError(
            f"{model.version} does not know such customers: it needs {len(needed)} columns, of "
            f"which {len(missing)} are missing, as {first}. Train a model on customers of your "
            "own with `retainwise train`, and name its folder with --model."
        ) from exc


@contextmanager
def _columns_named() -> Iterator[None]:
    """Of a column that the person named and the file has not, say how it is to be named."""
    try:
        yield
    except MissingColumns as exc:
        if not exc.header:
            raise
        hint = "Name it as the header does; capitals count."
        raise click.UsageError(f"{exc.failure.message} {hint}") from exc


def _check_roles(*names: str | None) -> None:
    """Refuse a column that is named twice."""
    for name, times in Counter(filter(None, names)).items():
        if times > 1:
            raise click.UsageError(f"`{name}` is given more than once: a column has one role.")


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error if that is a terminal; yields what moves it, in [0, 1]."""
    # What is left to do takes no time that could be told from what is done: trees stop early.
    with click.progressbar(
        length=PROGRESS_STEPS,
        label=doing,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_eta=False,
        show_percent=True,
    ) as bar:
        yield lambda fraction: bar.update(round(fraction * PROGRESS_STEPS) - bar.pos)


def say_json(**content: object) -> None:
    """Print what a command did for a program."""
    click.echo(json.dumps(content, indent=1))


def say_metrics(metrics: Metrics, errors: Mapping[str, float] | None = None) -> None:
    """Print how good a model is; errors: the standard error of each figure, by its name."""
    click.echo(f"rows                     {metrics.rows:,}")
    for name, (said, form) in _FIGURES.items():
        about = f" ± {errors[name]:{form}}" if errors else ""
        click.echo(f"{said:<24} {getattr(metrics, name):{form}}{about}")


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
