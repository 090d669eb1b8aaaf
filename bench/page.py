"""Writes the page of the benchmarks from results, and the table of the README."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import programs as p
from earlier import Earlier
from harness import Spread
from loads import Column
from results import COMMIT, Result
from scenario import Load, Scenario
from scenarios import APPLICATIONS, SCENARIOS
from targets import BOUNDS, Bound

INTRODUCTION = """# Benchmarks
This page is written by `python bench/run.py`; the figures are those of one machine, and their ratios are what carries over.
"""
OVERVIEW = """## Applications
Microseconds of CPU time for a request, of the server and of the application in it, over 64 connections, one process on one
core: less is better, and the best of each row is bold. What each row does, with rates, latencies and the scatter, is told
[below](#raw-asgi); an empty cell is a wrong answer, a crash, or the other interface.
"""
PLOT = "![CPU time of a request](benchmarks/applications.svg)\n"
README_OVERVIEW = """Microseconds of CPU time for a request, of the server and of the application in it, over 64 connections,
one process on one core: less is better. [The page of the benchmarks](docs/benchmarks.md) tells what each row does and how it
was measured, with rates, latencies, memory, websockets, and what a hello world costs.
"""
README_BEGIN, README_END = "<!-- figures: bench/run.py writes them -->\n", "<!-- end of figures -->\n"

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
- HTTP load is `wrk` with one thread, over HTTP/2 `h2load` of nghttp2 with one thread; websocket load is a client in Zig that
  never waits for more than the server (`bench/native/websocket_load.zig`). At half of the peak rate another client
  (`bench/native/paced_load.zig`) sends at even distances, and latency counts from when a request was due: a server that stalls
  pays for all who waited.
- **CPU µs** is the time, user and system, of the server's process, its threads and its children, by the kernel's clock. Where
  "CPU busy" is well below 100 %, the load generator was the limit, and CPU time says more than the rate.
- At 16 pipelined requests a server gets the next batch when all are answered; who drops or delays requests that came together
  shows next to nothing. There is no latency of single requests then.
- Peak memory is the most that was in RAM, summed over a server's processes.

To run it on a machine of yours, on Linux with two cores or more:

```sh
python -m ziglang build && python -m ziglang build bench
python bench/set_up_peers.py
python bench/run.py            # about two hours; --quick takes about a quarter of an hour
```

`--only 'app-*' --only one-connection` measures the first table and its targets in about twenty minutes, `--only 'http2-*'`
what is about HTTP/2 in about as many (it needs `h2load` and `curl`), `--list` tells how long the rest takes, `--render` writes
the page again from what is kept in `bench/.results`. A section that was not measured anew stays as it is, with its date.
"""


def render(results: Mapping[str, Result], earlier: Earlier) -> str:
    """Returns the page as Markdown; what was not measured is what the earlier page says."""
    parts = [INTRODUCTION, *_circumstances(results, earlier)]
    rows = list(overview(results))
    # The rows of one table are of one run.
    if rows and (_complete(results) or "Applications" not in earlier.sections):
        parts += [OVERVIEW, *rows, "", PLOT]
    elif "Applications" in earlier.sections:
        parts.append(earlier.sections["Applications"])
    parts += [*_targets(results, earlier), METHOD]
    for scenario in SCENARIOS:
        if scenario.key in results:
            parts += _scenario(scenario, results[scenario.key])
        elif scenario.title in earlier.sections:
            parts.append(earlier.sections[scenario.title])
    parts += _settings()
    return "\n".join(parts).rstrip() + "\n"


def _circumstances(results: Mapping[str, Result], earlier: Earlier) -> Iterator[str]:
    if not results:
        yield earlier.circumstances + "\n"
        return
    if any(len(one.rounds) < _by_key(key).rounds(TRUSTED_ROUNDS) for key, one in results.items()):
        yield "**A quick run: single figures are off by tens of percent; it shows that everything is measured.**\n"
    latest = max(results.values(), key=lambda result: result.date)
    facts = "; ".join(f"{name}: {value}" for name, value in latest.facts.items() if name != COMMIT)
    yield f"Measured until {latest.date} on this machine and system; each section has its date.\n{facts}.\n"


def _by_key(key: str) -> Scenario:
    return next(one for one in SCENARIOS if one.key == key)


# ---- applications


def _complete(results: Mapping[str, Result]) -> bool:
    return all(scenario.key in results for scenario in APPLICATIONS)


def overview(results: Mapping[str, Result]) -> Iterator[str]:
    """Gives the lines of the first table: a row for each load of an application, a column for each server; none when empty."""
    columns: dict[str, None] = {}
    rows = []
    for scenario in APPLICATIONS:
        if not scenario.application or scenario.key not in results:
            continue
        for load in scenario.loads:
            cells = _costs(scenario, load, results[scenario.key])
            columns.update(dict.fromkeys(cells))
            rows.append((f"{scenario.application}: {load.name}", cells))
    if not rows:
        return
    yield _row(["application", *columns])
    yield "| --- |" + " ---: |" * len(columns)
    for title, cells in rows:
        least = min(cells.values(), default=0.0)
        yield _row([title, *(_bold(cells.get(name), least) for name in columns)])


def _costs(scenario: Scenario, load: Load, result: Result) -> dict[str, float]:
    """Returns the CPU time of each server, by its name without the interface."""
    found = {}
    for program in scenario.programs:
        spread = result.spread(program.name, load.name, "cpu_us")
        if spread is not None:
            found["socketify" if program.name == p.EPOLL else re.sub(", [aw]sgi$", "", program.name)] = spread.median
    return found


def _bold(value: float | None, least: float) -> str:
    text = "" if value is None else f"{value:,.1f}"
    return f"**{text}**" if value == least else text


# ---- targets


def _targets(results: Mapping[str, Result], earlier: Earlier) -> Iterator[str]:
    yield "## Targets\n"
    what = Earlier.Naming()
    yield f"| what | target | {p.EPOLL} | {p.URING} |\n| --- | --- | --- | --- |"
    for bound in BOUNDS:
        limits = sorted(set(bound.bounds.values()), reverse=True)
        limit = ", ".join(f"{value:g}{bound.unit}" for value in limits)
        if len(limits) > 1:
            limit = ", ".join(f"{value:g} ({name.rpartition(', ')[2]})" for name, value in bound.bounds.items())
        if len(bound.bases) > 1:
            limit += " to each of its parsers"
        row = [bound.describe(results), f"at {'most' if bound.at_most else 'least'} {limit}"]
        name = what(row[0])
        if bound.scenario in results or name not in earlier.targets:
            yield _row([*row, *(_verdict(bound, results, program) for program in (p.EPOLL, p.URING))])
        else:
            yield earlier.targets[name]
    yield ""


def _verdict(bound: Bound, results: Mapping[str, Result], program: str) -> str:
    if program not in bound.bounds:
        return ""
    spread = bound.measured(results, program)
    if spread is None:
        return "not measured"
    figure = _cell(spread, 0 if bound.unit else 2, whole=True) + bound.unit
    return f"{figure}: {'met' if bound.met(spread, program) else '**not met**'}"


# ---- scenarios


def _scenario(scenario: Scenario, result: Result) -> Iterator[str]:
    yield f"## {scenario.title}\n{scenario.about}\n\n{_measured(scenario, result)}\n"
    yield f"![{scenario.title}](benchmarks/{scenario.key}.svg)\n"
    for load in scenario.loads:
        yield from _table(scenario, load, result)
    failures = [
        f"- {program}{f', {load}' if load else ''}: {reason.rstrip('.')[:REASON_LENGTH]}."
        for (program, load), reason in sorted(result.failures().items())
    ]
    if failures:
        yield "Not measured:\n\n" + "\n".join(failures) + "\n"


def _measured(scenario: Scenario, result: Result) -> str:
    """Tells when and of what a section's figures are."""
    versions = {
        program.environment + "/" + program.package: program.package for program in scenario.programs if program.package
    }
    versions.update({f"peers/{package}": package for package in scenario.packages})
    told = ", ".join(f"{package} {result.versions[key]}" for key, package in versions.items() if key in result.versions)
    count = len(result.rounds)
    return (
        f"Measured {result.date}, {count} round{'s' if count > 1 else ''} of {result.seconds:g} s; library of commit "
        f"{result.facts.get(COMMIT, 'unknown')}{'; ' if told else ''}{told}."
    )


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


def _settings() -> Iterator[str]:
    yield "## Settings\n"
    yield "| server | settings, and why |\n| --- | --- |"
    settings = {program.name: program.settings for scenario in SCENARIOS for program in scenario.programs}
    yield from (_row([name, text]) for name, text in settings.items())


def write(results: Mapping[str, Result], path: Path) -> None:
    """Writes the page in place of an earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = Earlier.read(path)
    path.write_text(render(results, earlier), encoding="utf-8")


def write_readme(results: Mapping[str, Result], path: Path) -> None:
    """Writes the first table into the README, between its marks; leaves it alone when not all was measured."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if begin and end and _complete(results):
        table = "\n".join(overview(results)) + "\n"
        path.write_text(f"{before}{begin}{README_OVERVIEW}\n{table}{end}{after}", encoding="utf-8")
