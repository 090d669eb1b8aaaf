"""Keeps what was measured, one file of JSON for each scenario, so that a page can be made of several runs."""

from __future__ import annotations

import datetime
import json
import platform
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from environments import ENVIRONMENTS, OWN, SHARED, Environments
from harness import ROOT, Spread
from rounds import Round, Turn
from scenario import Scenario
from scenarios import SCENARIOS

#: The fact that tells what was measured.
COMMIT = "commit of the library"
DEFAULT_FOLDER = Path(__file__).with_name(".results")


@dataclass
class Result:
    """All rounds of a scenario, and the circumstances."""

    date: str
    seconds: float
    facts: dict[str, str]
    versions: dict[str, str]
    rounds: list[Round] = field(default_factory=list)

    def turns(self) -> Iterator[Turn]:
        """Gives the turns of all rounds."""
        for turns in self.rounds:
            yield from turns

    def values(self, program: str, load: str, key: str) -> Iterator[float]:
        """Gives a figure of each turn that has it."""
        for outcomes in self.turns():
            value = _figure(outcomes, program, load, key)
            if value is not None:
                yield value

    def spread(self, program: str, load: str, key: str) -> Spread | None:
        """Returns median and range of a figure over the turns, or None when it was never measured."""
        values = list(self.values(program, load, key))
        return Spread.of(values) if values else None

    def ratio(self, program: str, base: str, load: str, key: str, base_load: str = "") -> Spread | None:
        """Returns median and range of a figure's ratio to another server's, or to that of another load, in the same turn."""
        ratios = []
        for outcomes in self.turns():
            ours, theirs = _figure(outcomes, program, load, key), _figure(outcomes, base, base_load or load, key)
            if ours is not None and theirs:
                ratios.append(ours / theirs)
        return Spread.of(ratios) if ratios else None

    def failures(self) -> dict[tuple[str, str], str]:
        """Returns what was not measured in any turn, by server and load ("" for all loads), and why."""
        found: dict[tuple[str, str], str] = {}
        for outcomes in self.turns():
            for program, outcome in outcomes.items():
                for load, figures in outcome.items():
                    if isinstance(figures, str) and self.spread(program, load, "per_second") is None:
                        found.setdefault((program, load), figures)
        return found


def _figure(outcomes: Round, program: str, load: str, key: str) -> float | None:
    figures = outcomes.get(program, {}).get(load)
    return figures.get(key) if isinstance(figures, dict) else None


def save(folder: Path, scenario: Scenario, result: Result) -> None:
    """Writes a scenario's result in place of an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scenario.key}.json"
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(result), indent=1) + "\n")
    temporary.replace(path)


def load(folder: Path) -> dict[str, Result]:
    """Reads the results of all scenarios that were measured, by key."""
    found = {}
    for scenario in SCENARIOS:
        path = folder / f"{scenario.key}.json"
        if path.exists():
            found[scenario.key] = Result(**json.loads(path.read_text()))
    return found


def new_result(environments: Environments, seconds: float) -> Result:
    """Returns an empty result with the circumstances of this moment."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return Result(now.strftime("%Y-%m-%d %H:%M UTC"), seconds, machine_facts(), package_versions(environments))


def machine_facts() -> dict[str, str]:
    """Describes machine and system."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    cores = len(re.findall(r"^processor\s*:", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    return {
        "CPU": f"{cpu[1] if cpu else platform.machine()}, {cores} cores",
        "memory": f"{int(memory[1]) / 1e6:.0f} GB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "OpenSSL": ssl.OPENSSL_VERSION,
        "wrk": _first_line("wrk", "-v") or "not found",
        # The last one that changed what is measured.
        COMMIT: _first_line("git", "-C", str(ROOT), "log", "-1", "--format=%h", "--", "socketify", "zig") or "unknown",
    }


def _first_line(*command: str) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return next(iter((result.stdout or result.stderr).splitlines()), "").partition(" Copyright")[0]


def package_versions(environments: Environments) -> dict[str, str]:
    """Returns the versions of what is compared, as ``environment/package``."""
    sys.path.insert(0, str(ROOT))
    from socketify import __version__  # noqa: PLC0415 - of this tree

    found = {"own/socketify": __version__}
    wanted = [(OWN, package) for package in SHARED]
    wanted += [(one.name, re.split(r"[\[=]", package)[0]) for one in ENVIRONMENTS for package in one.packages]
    for environment, package in wanted:
        found[f"{environment}/{package}"] = environments.version(environment, package) or "not installed"
    return found
