"""Brokers of Redis where a URL means several servers: sentinels, and a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from broker_member import Member, numbered, texts
from broker_member import until as until_async
from broker_servers import QUICK, RedisServer, free_port
from waiting import wait_until

from socketify.topics.broker import BrokerError

pytest.importorskip("redis")


def run(coroutine: Any) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


class Sentinel(RedisServer):
    """A sentinel, which fails over within seconds."""

    def watch(self, master: RedisServer) -> None:
        path = self.folder / "sentinel.conf"
        path.write_text(
            f"sentinel monitor main 127.0.0.1 {master.port} 1\nsentinel down-after-milliseconds main 500\n"
            "sentinel failover-timeout main 3000\n"
        )

    def command(self) -> list[str]:
        return [self.program, str(self.folder / "sentinel.conf"), "--sentinel", "--port", str(self.port), "--bind", self.host]


def test_sentinels_name_the_master_also_after_a_failover() -> None:
    async def main() -> None:
        url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main?{QUICK}"
        member = await Member(url).join("t")
        await member.publish("t", "x")
        await until_async(lambda: member.texts() == ["x"])
        with pytest.raises(BrokerError, match=r"knows no master of the name other"):
            await Member(url.replace("/main", "/other")).join()
        first.kill()
        assert await member.broker.wait_until_lost()
        await member.broker.close()
        while True:
            with contextlib.suppress(BrokerError):
                await member.join("t")
                break
            await asyncio.sleep(0.1)
        await member.publish("t", "y")
        await until_async(lambda: member.texts() == ["x", "y"])
        # Sentinels have a channel of their own on every server.
        assert [each for each in second.cli("pubsub", "channels").split() if not each.startswith("__")] == ["t"]
        await member.broker.close()

    with RedisServer() as first, RedisServer("--replicaof", "127.0.0.1", str(first.port)) as second:
        second.cli("config", "set", "repl-diskless-load", "swapdb")
        wait_until(lambda: "master_link_status:up" in second.cli("info", "replication"))
        sentinel = Sentinel()
        sentinel.watch(first)
        with sentinel:
            wait_until(lambda: "slaves=1" in sentinel.cli("info", "sentinel"))
            run(main())


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[RedisServer]]:
    with contextlib.ExitStack() as stack:
        nodes = []
        for _ in range(3):
            bus = free_port()
            nodes.append(stack.enter_context(RedisServer("--cluster-enabled", "yes", "--cluster-port", str(bus))))
        for index, node in enumerate(nodes):
            first, last = 16384 * index // 3, 16384 * (index + 1) // 3 - 1
            node.cli("cluster", "addslotsrange", str(first), str(last))
            bus = node._options[-1]
            nodes[0].cli("cluster", "meet", "127.0.0.1", str(node.port), bus)
        for node in nodes:
            wait_until(lambda node=node: "cluster_state:ok" in node.cli("cluster", "info"))
            wait_until(lambda node=node: node.cli("cluster", "slots").count("127.0.0.1") >= 3)
        yield nodes


def cluster_url(cluster: list[RedisServer]) -> str:
    return f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster[1].port}?{QUICK}&prefix=p:"


def test_a_cluster_has_each_topic_on_the_node_of_its_slot(cluster: list[RedisServer]) -> None:
    topics = [f"topic {number}" for number in range(60)]

    async def main() -> None:
        one, two = await Member(cluster_url(cluster)).join(), await Member(cluster_url(cluster)).join(*topics)
        channels = [node.cli("pubsub", "shardchannels").split("\n") for node in cluster]
        assert all(5 < len(each) < 40 for each in channels)
        assert sorted(name for each in channels for name in each) == sorted(f"p:{topic}" for topic in topics)
        for first in range(0, 100, 10):
            await one.broker.publish([each for topic in topics for each in numbered(topic, first, first + 10)])
        await until_async(lambda: len(two.got) == 6000)
        for topic in topics:
            assert texts([each for each in two.got if each.topic == topic]) == texts(numbered(topic, 0, 100))
        # Another program publishes where the slot is.
        assert [node.cli("-c", "spublish", "p:topic 1", "plain") for node in cluster][-1].split()[-1] == "1"
        await two.broker.unsubscribe(topics)
        assert not any(node.cli("pubsub", "shardchannels") for node in cluster)
        await one.broker.close()
        await two.broker.close()

    run(main())


def test_slots_that_move_are_noticed(cluster: list[RedisServer]) -> None:
    async def main() -> None:
        one, two = await Member(cluster_url(cluster)).join(), await Member(cluster_url(cluster)).join("moved")
        slot = cluster[0].cli("cluster", "keyslot", "p:moved")
        owner = next(node for node in cluster if node.cli("pubsub", "shardchannels") == "p:moved")
        target = next(node for node in cluster if node is not owner)
        name = target.cli("cluster", "myid")
        for node in target, owner, *cluster:
            node.cli("cluster", "setslot", slot, "node", name)
        assert "moved" in await two.broker.wait_until_lost()
        # Whoever only publishes learns it from the reply.
        await one.publish("moved", "lost")
        assert "moved" in await one.broker.wait_until_lost()
        for member in one, two:
            await member.broker.close()
            await member.join("moved")
        await one.publish("moved", "arrives")
        await until_async(lambda: one.texts() == two.texts() == ["arrives"])
        await one.broker.close()
        await two.broker.close()

    run(main())


def test_a_node_that_is_killed_is_a_loss_of_the_broker() -> None:
    async def main() -> None:
        node = RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        with node:
            with pytest.raises(BrokerError, match="no node has slot 0"):
                await Member(cluster_url([node, node])).join()
            node.cli("cluster", "addslotsrange", "0", "16383")
            wait_until(lambda: "cluster_state:ok" in node.cli("cluster", "info"))
            member = await Member(cluster_url([node, node])).join("t")
            node.kill()
            assert await member.broker.wait_until_lost()
            await member.broker.close()

    run(main())
