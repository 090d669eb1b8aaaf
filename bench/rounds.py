"""Runs the rounds of a scenario: every load on one server after the other, in alternating order, all started anew."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import clients
from environments import Environments
from harness import SETTLE_SECONDS, BenchmarkError
from http2_loads import Http2
from loads import Budget, Http, Outcome, Target, WebSocket
from probe import probe
from programs import Program
from scenario import Load, Scenario
from services import redis

#: About how long it takes to start a server, ask it, and stop it.
START_SECONDS = 1.0
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
        for number in range(scenario.rounds(count)):
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
            try:
                variables = servers.enter_context(redis(self.load_cpu)) if scenario.redis else {}
            except BenchmarkError as error:
                return [{program.name: _say(scenario, program.name, {"": str(error)}) for program in programs}]
            for program in programs:
                try:
                    targets[program.name] = self._start(scenario, program, servers, variables)
                    turns[0][program.name].update(_say(scenario, program.name, targets[program.name].wrong))
                except BenchmarkError as error:
                    turns[0][program.name] = _say(scenario, program.name, {"": str(error)})
            for load in scenario.loads:
                for number, outcomes in enumerate(turns[: load.turns]):
                    right = [name for name, target in targets.items() if load.name not in target.wrong]
                    for name in right if number % 2 == 0 else reversed(right):
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

    def _start(
        self, scenario: Scenario, program: Program, servers: contextlib.ExitStack, variables: Mapping[str, str]
    ) -> Target:
        """Starts a server that stops with the others. Raises BenchmarkError when it is missing, or gives wrong answers."""
        missing = program.missing(self.environments)
        if missing is not None:
            raise BenchmarkError(missing)
        started = program.start(self.environments, scenario.behaviour, self.directory, self.server_cpu, variables)
        server = servers.enter_context(started)
        wrong: Outcome = {}
        for load in scenario.loads:
            try:
                probe(server, scenario, load)
            except BenchmarkError as error:
                wrong[load.name] = str(error)
        if len(wrong) == len(scenario.loads):
            raise BenchmarkError(str(wrong[scenario.loads[0].name]))
        target = Target(server, scenario.request, self.budget, self.load_cpu, {}, wrong)
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
                clients.run_wrk(target.server, load, self.budget.warm_up, self.load_cpu, first.request or scenario.request)
            elif isinstance(first, Http2):
                first.run(replace(target, budget=replace(self.budget, seconds=self.budget.warm_up), earlier={}))
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
    total = 0.0
    for scenario in scenarios:
        each = START_SECONDS + sum(load.turns * (SETTLE_SECONDS + load.seconds(budget)) for load in scenario.loads)
        if isinstance(scenario.loads[0], (Http, Http2, WebSocket)):
            each += budget.warm_up
        total += each * len(scenario.programs) * scenario.rounds(count)
    return total
