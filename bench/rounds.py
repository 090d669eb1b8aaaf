"""Runs the rounds of a scenario: every server in turn, in alternating order, each started anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import clients
from environments import Environments
from harness import BenchmarkError
from loads import Budget, Figures, Http, Target, WebSocket
from probe import probe
from programs import Program
from scenarios import Scenario

#: What one server gave in one round, by load; a failure is told in words.
Outcome = dict[str, Union[Figures, str]]
#: What all servers gave in one round.
Round = dict[str, Outcome]


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
            outcomes: Round = {}
            for program in order:
                # What failed twice will not be better in the next round.
                left_out = failed.get(program.name, 0) > 1
                outcomes[program.name] = {} if left_out else self.serve(scenario, program)
                if _failed_wholly(outcomes[program.name]):
                    failed[program.name] = failed.get(program.name, 0) + 1
            done.append(outcomes)
            keep(done)
        return done

    def serve(self, scenario: Scenario, program: Program) -> Outcome:
        """Starts one server and puts all loads on it."""
        missing = program.missing(self.environments)
        if missing is not None:
            return _say(scenario, program, {"": missing})
        try:
            server = program.start(self.environments, scenario.behaviour, self.directory, self.server_cpu)
        except BenchmarkError as error:
            return _say(scenario, program, {"": str(error)})
        outcome: Outcome = {}
        with server:
            try:
                probe(server, scenario)
            except BenchmarkError as error:
                return _say(scenario, program, {"": str(error)})
            earlier: dict[str, Figures] = {}
            target = Target(server, scenario.request, self.budget, self.load_cpu, earlier)
            self._warm_up(scenario, target)
            for load in scenario.loads:
                try:
                    earlier[load.name] = outcome[load.name] = load.run(target)
                except (BenchmarkError, OSError) as error:
                    ended = server.ended()
                    outcome[load.name] = str(error) if ended is None else f"the server crashed: {ended}"
                    _say(scenario, program, {load.name: str(outcome[load.name])})
                    if ended is not None:
                        break
        return outcome

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


def _say(scenario: Scenario, program: Program, outcome: Outcome) -> Outcome:
    for load, reason in outcome.items():
        print(f"  {scenario.key}: {program.name}{', ' if load else ''}{load}: {reason}", file=sys.stderr)
    return outcome


def seconds_needed(scenarios: Sequence[Scenario], budget: Budget, count: int) -> float:
    """Estimates how long the rounds take."""
    start = 0.8
    total = 0.0
    for scenario in scenarios:
        each = start + budget.warm_up + budget.seconds * len(scenario.loads)
        if scenario.key == "idle":
            each = start + budget.idle_seconds + 1 + budget.idle_connections / 2500
        elif scenario.once:
            each = start + 1 + budget.growth_requests * getattr(scenario.loads[0], "share", 1) / 200_000
        total += each * len(scenario.programs) * (1 if scenario.once else count)
    return total
