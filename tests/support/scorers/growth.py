"""How the time to score grows with rows, columns, trees and depth, in warm processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from model.artifact import SHIPPED
from scorers.made import customers, make_model
from scorers.plot import Panel
from scorers.running import Warm

PARTS = (100, 20, 5, 1)
"""Of all rows: how many times fewer."""
MADE_PART = 10
WIDTHS, TREES, DEPTHS = (10, 20, 50, 100), (50, 100, 200, 500), (2, 3, 4, 6)
WIDTH, TREE_COUNT, DEPTH = 20, 100, 3
"""What the two others are while one of the three grows."""
REASONS = {"score only": False, "with reasons": True}


def growth(rows_file: Path, folder: Path, *, rounds: int, rows: int) -> list[Panel]:
    """Measure each point in each round; the least time counts, as others use the machine too.

    rows_file: so many customers of the shipped model.
    """
    sizes = [rows // part for part in PARTS]
    made_rows = rows // MADE_PART
    shapes = {
        **{("columns", width): (width, TREE_COUNT, DEPTH) for width in WIDTHS},
        **{("trees", trees): (WIDTH, trees, DEPTH) for trees in TREES},
        **{("depth", depth): (WIDTH, TREE_COUNT, depth) for depth in DEPTHS},
    }
    points: dict[tuple[str, int], tuple[Path, Path]] = {}
    for size in sizes:
        points["rows", size] = first_rows(rows_file, size, folder / f"first-{size}.csv"), SHIPPED
    for width, trees, depth in dict.fromkeys(shapes.values()):
        made, file = customers(made_rows, width), folder / f"made-{width}.csv"
        made.to_csv(file, index=False)
        make_model(made, folder / f"made-{width}-{trees}-{depth}", trees=trees, depth=depth)
    for point, (width, trees, depth) in shapes.items():
        model = folder / f"made-{width}-{trees}-{depth}"
        points[point] = folder / f"made-{width}.csv", model
    took = _measured(points, folder, rounds)
    return [
        _panel("Rows: the Telco model", "rows", sizes, took),
        _panel(f"Columns: {made_rows:,} rows", "columns", WIDTHS, took),
        _panel(f"Trees: {made_rows:,} rows, {WIDTH} columns", "trees", TREES, took),
        _panel(f"Depth: {made_rows:,} rows, {WIDTH} columns", "depth", DEPTHS, took),
    ]


def _measured(
    points: Mapping[tuple[str, int], tuple[Path, Path]], folder: Path, rounds: int
) -> dict[tuple[str, int, str], float]:
    """Return the least time of each point with and without reasons."""
    took: dict[tuple[str, int, str], float] = {}
    with ExitStack() as all_warm:
        warm = {
            model: all_warm.enter_context(Warm("ours", model, folder / f"{model.name}.csv"))
            for model in dict.fromkeys(model for _, model in points.values())
        }
        for number in range(-1, rounds):  # the first one warms
            for (what, x), (source, model) in points.items():
                for name, reasons in REASONS.items():
                    run = warm[model].score(source, reasons=reasons)
                    if number >= 0:
                        key = what, x, name
                        took[key] = min(took.get(key, run.took_s), run.took_s)
    return took


def _panel(
    title: str, what: str, xs: Sequence[int], took: Mapping[tuple[str, int, str], float]
) -> Panel:
    return Panel(title, what, xs, {name: [took[what, x, name] for x in xs] for name in REASONS})


def in_words(panels: Sequence[Panel]) -> str:
    """Say how much longer each panel's last point takes than its first."""
    parts = []
    for panel in panels:
        alone, explained = (panel.lines[name][-1] / panel.lines[name][0] for name in REASONS)
        times = f"{panel.x[-1] / panel.x[0]:.3g} times the {panel.x_name}"
        parts.append(f"for {times} {alone:.1f} times (with reasons {explained:.1f})")
    return f"From the first point to the last the time grows, {', '.join(parts)}."


def first_rows(source: Path, rows: int, target: Path) -> Path:
    """Copy the header and so many lines."""
    with source.open("rb") as lines, target.open("wb") as out:
        out.writelines(islice(lines, rows + 1))
    return target
