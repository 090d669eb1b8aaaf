"""Measures what topics cost that reach beyond one process, and how long a message takes. Linux only.

    python -m ziglang build bench
    python bench/topics.py [--rounds 5] [--seconds 3] [--in-flight 64] [--broker URL]

One process has 1,000 websockets; then two have 500 each and share the embedded broker, or the one of the URL. Ten connections
publish, each message to a topic that is drawn by chance: to the only one, which all websockets subscribe to, or to one of
1,000, which one of them subscribes to, in half of the cases in another process than the one that publishes. All servers share
one core, and the load generator has another. What counts is deliveries for each second of the servers' CPU time, as fast as
they go; then, at half of that rate, how long it takes from when a message was due until a websocket has it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import BenchmarkError, Server, Spread, choose_cpus, native_program, pinned, raise_descriptor_limit

SERVER = Path(__file__).with_name("topics_server.py")
SUBSCRIBERS = 1000
PUBLISHERS = 10
#: With how many messages under way, by the number of topics: one packet to a websocket takes 32 of a topic.
IN_FLIGHT = {1: 64, 1000: 400}


@dataclass(frozen=True)
class Run:
    """What one load gave."""

    published: int
    delivered: int
    missing: int
    seconds: float
    cpu_seconds: float
    p50_us: float
    p99_us: float

    @property
    def per_cpu_second(self) -> float:
        """Deliveries for each second of CPU time."""
        return self.delivered / self.cpu_seconds


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="rounds of each load (default: %(default)s)")
    add("--seconds", type=float, default=3, help="of each load (default: %(default)s)")
    add("--topics", default="1,1000", help="how many topics, with commas between (default: %(default)s)")
    add("--bytes", default="100,1024", help="of a message, with commas between (default: %(default)s)")
    add("--in-flight", type=int, default=0, help="messages under way, as fast as they go (default: by topics)")
    add("--broker", default="", help="URL of the broker of two processes (default: the embedded one)")
    return parser.parse_args()


@contextlib.contextmanager
def servers(count: int, broker: str, cpu: int | None) -> Iterator[list[Server]]:
    """Runs so many processes that share a broker."""
    with contextlib.ExitStack() as stack:
        if count > 1 and not broker:
            broker = f"local://{stack.enter_context(tempfile.TemporaryDirectory())}"
        variables = {"SOCKETIFY_BROKER": broker if count > 1 else "none"}
        command = [sys.executable, str(SERVER)]
        yield [stack.enter_context(Server(command, cpu, variables=variables)) for _ in range(count)]


def load(
    targets: Sequence[Server], topics: int, message_bytes: int, rate: int, seconds: float, cpu: int | None, in_flight: int = 0
) -> Run:
    """Runs the load generator against servers; a rate of 0 is as fast as they go.

    Raises BenchmarkError when it fails.
    """
    ports = ",".join(str(each.port) for each in targets)
    in_flight = in_flight or IN_FLIGHT.get(topics, 100)
    words = (ports, SUBSCRIBERS, topics, PUBLISHERS, message_bytes, in_flight, rate, int(seconds * 1000))
    command = [str(native_program("topic_load")), *map(str, words)]
    with pinned(cpu):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() == "ready\n":
            before = sum(each.cpu_seconds() for each in targets)
            process.stdin.write("\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            cpu_seconds = sum(each.cpu_seconds() for each in targets) - before
            if answer:
                found = json.loads(answer)
                return Run(
                    found["published"],
                    found["delivered"],
                    found["missing"],
                    found["microseconds"] / 1e6,
                    cpu_seconds,
                    found["latency_p50_us"],
                    found["latency_p99_us"],
                )
        raise BenchmarkError(f"the load generator failed: {process.stderr.readline().strip()}")


def measure(arguments: argparse.Namespace, topics: int, message_bytes: int) -> None:
    """Prints what one and two processes give with so many topics and messages of so many bytes."""
    server_cpu, load_cpu = choose_cpus()
    peaks: dict[int, list[Run]] = {1: [], 2: []}
    paced: dict[int, list[Run]] = {1: [], 2: []}
    for turn in range(arguments.rounds):
        for count in (1, 2) if turn % 2 else (2, 1):
            with servers(count, arguments.broker, server_cpu) as targets:
                load(targets, topics, message_bytes, 0, 0.5, load_cpu)
                peak = load(targets, topics, message_bytes, 0, arguments.seconds, load_cpu, arguments.in_flight)
                rate = max(1, int(peak.published / peak.seconds / 2))
                peaks[count].append(peak)
                paced[count].append(load(targets, topics, message_bytes, rate, arguments.seconds, load_cpu))
    print(f"\n{topics} topic{'s' if topics > 1 else ''}, {message_bytes} bytes")
    for count in (1, 2):
        print(
            f"  {count} process{'es' if count > 1 else '  '}:"
            f" deliveries/s {Spread.of([each.delivered / each.seconds for each in peaks[count]])},"
            f" per CPU second {Spread.of([each.per_cpu_second for each in peaks[count]])},"
            f" missing {sum(each.missing for each in peaks[count] + paced[count])};"
            f" at half of the peak per CPU second {Spread.of([each.per_cpu_second for each in paced[count]])},"
            f" p50 {Spread.of([each.p50_us for each in paced[count]])} us,"
            f" p99 {Spread.of([each.p99_us for each in paced[count]])} us"
        )
    ratios = [two.per_cpu_second / one.per_cpu_second for one, two in zip(peaks[1], peaks[2])]
    print(f"  deliveries per CPU second, two processes against one: {Spread.of(ratios)}")


def main() -> int:
    """Measures all of it."""
    arguments = parse_arguments()
    raise_descriptor_limit(SUBSCRIBERS + PUBLISHERS + 256)
    for topics in map(int, arguments.topics.split(",")):
        for message_bytes in map(int, arguments.bytes.split(",")):
            measure(arguments, topics, message_bytes)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"bench/topics.py: {error}")
