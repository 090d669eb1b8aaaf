"""Runs the rounds of a scenario: every load on one server after the other, in alternating order, all started anew."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import clients
from environments import Environments
from harness import SETTLE_SECONDS, BenchmarkError
from loads import Budget, Figures, Http, Target, WebSocket
from probe import probe
from programs import Program
from scenarios import Load, Scenario

#: What one server gave in one turn, by load; a failure is told in words.
Outcome = dict[str, Union[Figures, str]]
#: What all servers gave in one turn.
Turn = dict[str, Outcome]
#: The turns between which the same servers ran. The first has all loads, further ones those that are cut in more pieces.
Round = list[Turn]


@dataclass(frozen=True)
class Runner:
    """What all rounds have in common."""

    environments: Environments
    directory: Path
    budget: Budget
    server_cpu: int | None
    load_cpu: int | None

    def rounds(self, scenario: Scenario, count: int, keep: Callable[[list[Round]], None]) -> list[Round]:
        """Runs a scenario's rounds; ``keep`` gets what there is after each."""
        done: list[Round] = []
        failed: dict[str, int] = {}
        for number in range(1 if scenario.once else count):
            order = list(scenario.programs)
            if number % 2:
                order.reverse()
            # What failed twice will not be better in the next round.
            turns = self._round(scenario, [program for program in order if failed.get(program.name, 0) < 2])
            for name, outcome in turns[0].items():
                if _failed_wholly(outcome):
                    failed[name] = failed.get(name, 0) + 1
            turns[0].update({program.name: {} for program in order if program.name not in turns[0]})
            done.append(turns)
            keep(done)
        return done

    def _round(self, scenario: Scenario, programs: Sequence[Program]) -> Round:
        """Starts all servers, of which one at a time runs and has a load: what is compared lies seconds apart."""
        turns: Round = [{program.name: {} for program in programs} for _ in range(max(load.turns for load in scenario.loads))]
        with contextlib.ExitStack() as servers:
            targets: dict[str, Target] = {}
            for program in programs:
                try:
                    targets[program.name] = self._start(scenario, program, servers)
                except BenchmarkError as error:
                    turns[0][program.name] = _say(scenario, program.name, {"": str(error)})
            for load in scenario.loads:
                for number, outcomes in enumerate(turns[: load.turns]):
                    for name in list(targets) if number % 2 == 0 else list(reversed(targets)):
                        outcome = self._measure(scenario, load, name, targets[name])
                        outcomes[name].update(outcome)
                        if targets[name].server.ended() is not None:
                            del targets[name]
        return turns

    def _measure(self, scenario: Scenario, load: Load, name: str, target: Target) -> Outcome:
        """Puts a load on one server, for one turn."""
        try:
            with target.server.awake():
                figures = load.run(target)
        except (BenchmarkError, OSError) as error:
            ended = target.server.ended()
            return _say(scenario, name, {load.name: str(error) if ended is None else f"the server crashed: {ended}"})
        target.earlier.setdefault(load.name, []).append(figures)
        return {load.name: figures}

    def _start(self, scenario: Scenario, program: Program, servers: contextlib.ExitStack) -> Target:
        """Starts a server that stops with the others. Raises BenchmarkError when it is missing, or gives wrong answers."""
        missing = program.missing(self.environments)
        if missing is not None:
            raise BenchmarkError(missing)
        server = servers.enter_context(program.start(self.environments, scenario.behaviour, self.directory, self.server_cpu))
        probe(server, scenario)
        target = Target(server, scenario.request, self.budget, self.load_cpu, {})
        self._warm_up(scenario, target)
        server.pause()
        return target

    def _warm_up(self, scenario: Scenario, target: Target) -> None:
        """Fills caches and pools; that a load fails will be seen when it is measured."""
        first = scenario.loads[0]
        try:
            if isinstance(first, WebSocket):
                words = (first.mode, first.connections, first.message_bytes, first.in_flight)
                clients.run_websocket_load(target.server, words, self.budget.warm_up, self.load_cpu)
            elif isinstance(first, Http):
                load = clients.Load("warm-up", max(first.connections, 16))
                clients.run_wrk(target.server, load, self.budget.warm_up, self.load_cpu, scenario.request)
        except BenchmarkError as error:
            print(f"  warm-up: {error}", file=sys.stderr)


def _failed_wholly(outcome: Outcome) -> bool:
    return not any(isinstance(figures, dict) for figures in outcome.values())


def _say(scenario: Scenario, name: str, outcome: Outcome) -> Outcome:
    for load, reason in outcome.items():
        print(f"  {scenario.key}: {name}{', ' if load else ''}{load}: {reason}", file=sys.stderr)
    return outcome


def seconds_needed(scenarios: Sequence[Scenario], budget: Budget, count: int) -> float:
    """Estimates how long the rounds take."""
    start = 0.8
    total = 0.0
    for scenario in scenarios:
        each = start + budget.warm_up + sum(SETTLE_SECONDS * load.turns + budget.seconds for load in scenario.loads)
        if scenario.key == "idle":
            each = start + budget.idle_seconds + 1 + budget.idle_connections / 2500
        elif scenario.once:
            each = start + 1 + budget.growth_requests * getattr(scenario.loads[0], "share", 1) / 200_000
        total += each * len(scenario.programs) * (1 if scenario.once else count)
    return total
