"""Writes the page of the benchmarks from results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import programs as p
from environments import NATIVE
from harness import Spread
from loads import Column
from programs import Program
from results import Result
from scenarios import SCENARIOS, Load, Scenario
from targets import BOUNDS, Bound

INTRODUCTION = """# Benchmarks
This page is written by `python bench/run.py`; the figures are those of one machine, and their ratios are what carries over.
"""

REASON_LENGTH = 120
#: Fewer do not tell what is scatter.
TRUSTED_ROUNDS = 3
METHOD = """## How it is measured
- Every server runs as **one process on one core**, the load generator on another; each is started anew for every round,
  warmed up, and asked once whether its answer is the right one. Then every load goes to one server after the other, while the
  others are paused (SIGSTOP), so that what is compared with each other lies seconds apart. Loads that the targets are about are
  cut in four turns of a quarter of the time, so that the machine's stalls do not hit the same server always.
- Rounds and turns alternate in their order, and each figure is the **median (least–greatest)** over all turns. Ratios are
  taken within a turn, so that a change of the machine's pace hits both sides.
- HTTP load is `wrk` with one thread; websocket load is a client in Zig that never waits for more than the server
  (`bench/native/websocket_load.zig`). At half of the peak rate another client (`bench/native/paced_load.zig`) sends at even
  distances, and latency counts from when a request was due: a server that stalls pays for all who waited.
- **CPU µs** is the time, user and system, of the server's process, its threads and its children, by the kernel's clock. Where
  "CPU busy" is well below 100 %, the load generator was the limit, and CPU time says more than the rate.
- At 16 pipelined requests a server gets the next batch when all are answered; who drops or delays requests that came together
  shows next to nothing. There is no latency of single requests then.
- Peak memory is the most that was in RAM, summed over a server's processes.

To run it on a machine of yours, on Linux with two cores or more:

```sh
python -m ziglang build && python -m ziglang build bench
python bench/set_up_peers.py
python bench/run.py            # about an hour; --quick takes less than five
```

`--only asgi` measures one scenario anew, `--render` writes the page again from what is kept in `bench/.results`.
"""


def render(results: Mapping[str, Result]) -> str:
    """Returns the page as Markdown."""
    parts = [INTRODUCTION, *_circumstances(results), *_targets(results), METHOD]
    for scenario in SCENARIOS:
        if scenario.key in results:
            parts += _scenario(scenario, results[scenario.key])
    parts += _settings(results)
    return "\n".join(parts).rstrip() + "\n"


def _latest(results: Mapping[str, Result]) -> Result:
    return max(results.values(), key=lambda result: result.date)


def _circumstances(results: Mapping[str, Result]) -> Iterator[str]:
    latest = _latest(results)
    first = min(result.date for result in results.values())
    facts = "; ".join(f"{name}: {value}" for name, value in latest.facts.items())
    rounds = sorted({len(one.rounds) for key, one in results.items() if not _by_key(key).once})
    seconds = sorted({one.seconds for one in results.values()})
    if rounds and rounds[0] < TRUSTED_ROUNDS:
        yield "**A quick run: single figures are off by tens of percent; it shows that everything is measured.**\n"
    yield (
        f"Measured {first} to {latest.date}: {' or '.join(map(str, rounds)) or '1'} round(s) of "
        f"{' or '.join(f'{one:g}' for one in seconds)} s for each load.\n{facts}.\n"
    )


def _by_key(key: str) -> Scenario:
    return next(one for one in SCENARIOS if one.key == key)


# ---- targets


def _targets(results: Mapping[str, Result]) -> Iterator[str]:
    yield "## Targets\n"
    yield f"| what | target | {p.EPOLL} | {p.URING} |\n| --- | --- | --- | --- |"
    for bound in BOUNDS:
        limits = sorted(set(bound.bounds.values()), reverse=True)
        limit = ", ".join(f"{value:g}{bound.unit}" for value in limits)
        if len(limits) > 1:
            limit = ", ".join(f"{value:g} ({name.rpartition(', ')[2]})" for name, value in bound.bounds.items())
        row = [bound.describe(results), f"at {'most' if bound.at_most else 'least'} {limit}"]
        yield _row([*row, *(_verdict(bound, results, program) for program in (p.EPOLL, p.URING))])
    yield ""


def _verdict(bound: Bound, results: Mapping[str, Result], program: str) -> str:
    spread = bound.measured(results, program)
    if spread is None:
        return "not measured"
    figure = _cell(spread, 0 if bound.unit else 2, whole=True) + bound.unit
    return f"{figure}: {'met' if bound.met(spread, program) else '**not met**'}"


# ---- scenarios


def _scenario(scenario: Scenario, result: Result) -> Iterator[str]:
    yield f"## {scenario.title}\n{scenario.about}\n\n![{scenario.title}](benchmarks/{scenario.key}.svg)\n"
    for load in scenario.loads:
        yield from _table(scenario, load, result)
    failures = [
        f"- {program}{f', {load}' if load else ''}: {reason.rstrip('.')[:REASON_LENGTH]}."
        for (program, load), reason in sorted(result.failures().items())
    ]
    if failures:
        yield "Not measured:\n\n" + "\n".join(failures) + "\n"


def _table(scenario: Scenario, load: Load, result: Result) -> Iterator[str]:
    compares = load.plotted[0].key == "per_second"
    shown = [
        one for one in load.columns if any(result.spread(program.name, load.name, one.key) for program in scenario.programs)
    ]
    titles = ["server", *(column.title for column in shown)]
    if compares:
        titles.insert(2, f"times {p.EPOLL}")
    rows = []
    for program in scenario.programs:
        cells = [_column(result, program.name, load.name, column) for column in shown]
        if not any(cells):
            continue
        if compares:
            ratio = result.ratio(program.name, p.EPOLL, load.name, "per_second")
            cells.insert(1, f"{ratio.median:.2f}" if ratio else "")
        rows.append(_row([f"**{program.name}**" if program.name in (p.EPOLL, p.URING) else program.name, *cells]))
    if rows:
        yield f"### {scenario.title}: {load.name}\n"
        yield _row(titles) + "\n" + "| --- |" + " ---: |" * (len(titles) - 1)
        yield from rows
        yield ""


def _column(result: Result, program: str, load: str, column: Column) -> str:
    spread = result.spread(program, load, column.key)
    return "" if spread is None else _cell(spread, column.digits, whole=column.spread)


def _cell(spread: Spread, digits: int, *, whole: bool) -> str:
    text = f"{spread.median:,.{digits}f}"
    if whole and spread.least != spread.greatest:
        text += f" ({spread.least:,.{digits}f}–{spread.greatest:,.{digits}f})"
    return text


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


# ---- settings


def _settings(results: Mapping[str, Result]) -> Iterator[str]:
    yield "## Versions and settings\n"
    versions = _latest(results).versions
    others = [f"{key.partition('/')[2]} {version} ({key.partition('/')[0]})" for key, version in sorted(versions.items())]
    yield f"Packages by environment (`bench/environments.py`): {', '.join(others)}.\n"
    yield "| server | version | settings, and why |\n| --- | --- | --- |"
    seen: set[str] = set()
    for scenario in SCENARIOS:
        for program in scenario.programs:
            if scenario.key in results and program.name not in seen:
                seen.add(program.name)
                yield _row([program.name, _version(program, versions), program.settings])


def _version(program: Program, versions: Mapping[str, str]) -> str:
    if program.environment == NATIVE:
        return "as this tree"
    return versions.get(f"{program.environment}/{program.package or 'socketify'}", "not installed")


def write(results: Mapping[str, Result], path: Path) -> None:
    """Writes the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(results), encoding="utf-8")
