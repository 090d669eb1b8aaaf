"""Draws one figure for each scenario, as SVG: a panel for each load and figure, a bar for each server.

And one of all applications, with what a request costs. Usage: PYTHON-WITH-MATPLOTLIB bench/plots.py RESULTS OUTPUT
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import results as kept
from loads import Column
from matplotlib import ticker
from programs import CEILING, EPOLL, URING
from results import Result
from scenario import Load, Scenario
from scenarios import APPLICATIONS, SCENARIOS

PANEL_WIDTH, BAR_HEIGHT, COLUMNS = 4.2, 0.32, 3
OURS, BASE, OTHERS = "#2f6fde", "#555555", "#b9c2cf"


def colour(program: str) -> str:
    """Ours, the ceiling, and the others."""
    if program.startswith(CEILING):
        return BASE
    return OURS if program in (EPOLL, URING) or program.startswith("socketify,") else OTHERS


def draw(scenario: Scenario, result: Result, path: Path) -> None:
    """Draws a scenario's figure."""
    names = [one.name for one in scenario.programs if any(_has(result, one.name, load.name) for load in scenario.loads)]
    most = max(len(load.plotted) for load in scenario.loads)
    # All rates first, then what they cost.
    panels = [(load, load.plotted[at]) for at in range(most) for load in scenario.loads if at < len(load.plotted)]
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    size = (PANEL_WIDTH * columns + 1.4, (BAR_HEIGHT * len(names) + 0.9) * rows + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False)
    for axis, (load, column) in itertools.zip_longest(axes.flat, panels, fillvalue=(None, None)):
        if load is None or column is None:
            axis.set_visible(False)
            continue
        draw_panel(axis, result, names, load, column)
    for row in axes:
        row[0].set_yticks(range(len(names)), names)
    axes[0][0].set_ylim(len(names) - 0.4, -0.6)
    figure.suptitle(scenario.title, fontsize=11)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_applications(measured: dict[str, Result], path: Path) -> None:
    """Draws what a request of each application costs: a panel for each row of the page's first table."""
    shown = [one for one in APPLICATIONS if one.application and one.key in measured]
    panels = [(scenario, load) for scenario in shown for load in scenario.loads]
    if not panels:
        return
    rows = -(-len(panels) // COLUMNS)
    most = max(len(scenario.programs) for scenario in shown)
    size = ((PANEL_WIDTH + 1) * COLUMNS, (BAR_HEIGHT * most + 0.9) * rows + 0.3)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=size, squeeze=False)
    for axis, (scenario, load) in itertools.zip_longest(axes.flat, panels, fillvalue=(None, None)):
        if scenario is None or load is None:
            axis.set_visible(False)
            continue
        names = [one.name for one in scenario.programs if _has(measured[scenario.key], one.name, load.name)]
        draw_panel(axis, measured[scenario.key], names, load, load.plotted[1])
        axis.set_title(f"{scenario.application}: {load.name}", fontsize=9)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(most - 0.4, -0.6)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_panel(axis: Any, result: Result, names: list[str], load: Load, column: Column) -> None:
    """Draws the bars of one figure, with the range over the turns."""
    for place, name in enumerate(names):
        spread = result.spread(name, load.name, column.key)
        if spread is None:
            continue
        error = [[spread.median - spread.least], [spread.greatest - spread.median]]
        axis.barh(place, spread.median, xerr=error, color=colour(name), height=0.72, error_kw={"lw": 1, "ecolor": "#222222"})
        text = f" {spread.median:,.{column.digits}f}"
        axis.annotate(text, (max(spread.greatest, 0), place), va="center", fontsize=8, annotation_clip=False)
    axis.set_title(load.name, fontsize=9)
    axis.set_xlabel(column.title, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.xaxis.set_major_locator(ticker.MaxNLocator(4))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.margins(x=0.2)
    axis.set_xlim(left=min(0, axis.get_xlim()[0]))
    axis.spines[["top", "right"]].set_visible(False)


def _has(result: Result, program: str, load: str) -> bool:
    return any(isinstance(outcomes.get(program, {}).get(load), dict) for outcomes in result.turns())


def main() -> int:
    """Draws everything that was measured."""
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    # Text stays text, and the same results give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "socketify", "font.family": "sans-serif"})
    output.mkdir(parents=True, exist_ok=True)
    measured = kept.load(folder)
    for scenario in SCENARIOS:
        if scenario.key in measured:
            draw(scenario, measured[scenario.key], output / f"{scenario.key}.svg")
    draw_applications(measured, output / "applications.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
