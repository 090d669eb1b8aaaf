"""Brokers of Redis against Debian's server: each a connection of its own, as another process would have."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from broker_member import KINDS, Member, flood, numbered, texts, until
from broker_servers import QUICK, RedisServer
from tls_files import Files

from socketify.topics.broker import BrokerError, Publication

pytest.importorskip("redis")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def run(coroutine: object) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))  # type: ignore[arg-type]


def test_everything_arrives_once_and_in_order_also_what_comes_back(redis: RedisServer) -> None:
    async def main() -> None:
        one, two = await Member(redis.url()).join("a", "b"), await Member(redis.url()).join("a")
        for first in range(0, 5000, 50):
            await asyncio.gather(
                one.broker.publish(numbered("a", first, first + 50, "1:")),
                two.broker.publish(numbered("a", first, first + 50, "2:")),
            )
        await two.publish("b", "last")
        await two.publish("a", "end")
        for member in one, two:
            await until(lambda member=member: "end" in member.texts())
            for sender in "1:", "2:":
                found = [each for each in member.texts() if each.startswith(sender)]
                assert found == texts(numbered("a", 0, 5000, sender))
        assert one.texts().count("last") == 1
        # What one published itself is there before the server says that the topic was left, and nothing is after that.
        await one.publish("a", "echo")
        await one.broker.unsubscribe(["a", "b"])
        assert one.texts()[-1] == "echo"
        await two.publish("a", "for two")
        await until(lambda: two.texts()[-1] == "for two")
        await one.broker.subscribe(["c"])
        assert one.texts()[-1] == "echo"
        await one.broker.close()
        await two.broker.close()

    run(main())


def test_text_binary_and_compression_survive(redis: RedisServer) -> None:
    async def main() -> None:
        one, two = await Member(redis.url()).join(), await Member(redis.url()).join("t", "ü", "", "a b\n")
        sent = [Publication(topic, *kind) for kind in KINDS for topic in ("t", "ü", "", "a b\n")]
        await one.broker.publish(sent)
        await one.broker.publish([Publication("t", b"x" * 3_000_000, is_text=True, compress=False)] * 3)
        await until(lambda: len(two.got) == len(sent) + 3)
        assert two.got[: len(sent)] == sent
        await one.broker.close()
        await two.broker.close()

    run(main())


def test_other_programs_publish_and_read_plainly(redis: RedisServer) -> None:
    async def main() -> None:
        member = await Member(redis.url(f"{QUICK}&prefix=chat:")).join("news", "binary")
        assert redis.cli("publish", "news", "not for the prefix") == "0"
        assert redis.cli("publish", "chat:news", "hello wörld") == "1"
        await until(lambda: member.got)
        assert member.got == [Publication("news", "hello wörld".encode(), is_text=True, compress=False)]
        reader = await asyncio.create_subprocess_exec(
            "redis-cli", "-p", str(redis.port), "subscribe", "chat:news", stdout=subprocess.PIPE
        )
        assert reader.stdout is not None
        assert [await reader.stdout.readline() for _ in range(3)] == [b"subscribe\n", b"chat:news\n", b"1\n"]
        await member.publish("news", "from here")
        assert [await reader.stdout.readline() for _ in range(3)] == [b"message\n", b"chat:news\n", b"from here\n"]
        reader.kill()
        await reader.communicate()
        await member.broker.close()

    run(main())


def test_publications_of_a_turn_are_one_write_and_one_subscription_serves_a_topic(redis: RedisServer) -> None:
    async def main() -> None:
        member = await Member(redis.url(QUICK + "&client_name=counted")).join("once")
        assert redis.cli("pubsub", "numsub", "once") == "once\n1"
        # Commands that arrive together are carried out before anything is sent: the replies of all then lie in one write, too.
        before = redis.cli("info", "stats")
        for _ in range(20):
            await member.broker.publish(numbered("once", 0, 100))
            await asyncio.sleep(0)
        await until(lambda: len(member.got) == 2000)
        after = redis.cli("info", "stats")
        reads = [
            int(dict(line.split(":") for line in each.split("\n") if ":" in line)["total_reads_processed"])
            for each in (before, after)
        ]
        assert reads[1] - reads[0] < 100
        await member.broker.close()

    run(main())


def test_passwords_and_users_of_the_url(tmp_path: Path) -> None:
    password = "p@ss/w:rd? ü"

    async def main() -> None:
        with RedisServer("--requirepass", password) as server:
            server_url = f"redis://:{quote(password, safe='')}@127.0.0.1:{server.port}?{QUICK}"
            member = await Member(server_url).join("t")
            await member.publish("t", "x")
            await until(lambda: member.texts() == ["x"])
            for wrong in f"redis://:wrong@127.0.0.1:{server.port}?{QUICK}", f"redis://127.0.0.1:{server.port}?{QUICK}":
                with pytest.raises(BrokerError, match=r"(WRONGPASS|invalid username|authenticated)"):
                    await Member(wrong).join()
            await member.broker.close()

    run(main())


def test_what_the_server_refuses_hinders_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with RedisServer() as server:
            commands = ("nocommands", "+publish", "+subscribe", "+unsubscribe", "+ping")
            server.cli("acl", "setuser", "ann", "on", ">pw", *commands, "resetchannels", "&open*")
            server.cli("acl", "setuser", "writer", "on", ">pw", "+@all", "&*")
            url = f"redis://ann:pw@127.0.0.1:{server.port}?{QUICK}"
            member, other = (
                await Member(url).join("open1", "closed", "open2"),
                await Member(url.replace("ann", "writer")).join(),
            )
            await other.broker.publish([message for topic in ("open1", "closed", "open2") for message in numbered(topic, 0, 1)])
            await until(lambda: len(member.got) == 2)
            assert [each.topic for each in member.got] == ["open1", "open2"]
            # What it publishes where it is not let in comes back all the same, as nobody would wait for less.
            assert await member.publish("closed", "a") == 0
            assert await member.publish("open1", "b") == 0
            await until(lambda: len(member.got) == 4)
            assert sorted(texts(member.got[2:])) == ["a", "b"]
            # Known from the reply, and so told by the next call.
            assert await member.publish("open1", "c") == 1
            await member.broker.unsubscribe(["closed"])
            await member.publish("closed", "d")
            await member.broker.subscribe(["open3"])
            assert "d" not in member.texts()
            await member.broker.close()
            await other.broker.close()

    run(main())
    assert "refuses the channel closed" in caplog.text
    assert caplog.text.count("refuses a publication to closed") == 1
    assert "pw" not in caplog.text


def test_tls(tmp_path: Path) -> None:
    files = Files(tmp_path)
    leaf = files.issue("server")

    async def main() -> None:
        server = RedisServer("--port", "0", "--tls-auth-clients", "no", "--tls-ca-cert-file", files.ca_file)
        server._options += ("--tls-port", str(server.port), "--tls-cert-file", leaf["cert_file_name"])
        server._options += ("--tls-key-file", leaf["key_file_name"])
        with server:
            place = f"127.0.0.1:{server.port}?{QUICK}"
            member = await Member(f"rediss://{place}&ssl_ca_certs={files.ca_file}").join("t")
            await member.broker.publish(numbered("t", 0, 1000))
            await until(lambda: len(member.got) == 1000)
            with pytest.raises(BrokerError, match="certificate"):
                await Member(f"valkeys://{place}").join()
            with pytest.raises(BrokerError):
                await Member(f"redis://{place}").join()
            server.suspend()
            began = time.monotonic()
            assert "did not answer" in await member.broker.wait_until_lost()
            assert time.monotonic() - began < 5
            server.resume()
            await member.join("t")
            await member.broker.close()

    run(main())


def test_unix_sockets(tmp_path: Path) -> None:
    async def main() -> None:
        with RedisServer("--unixsocket", str(tmp_path / "redis.sock")):
            member = await Member(f"unix://{tmp_path}/redis.sock?prefix=p:").join("t")
            await member.publish("t", "x")
            await until(lambda: member.texts() == ["x"])
            await member.broker.close()

    run(main())


def test_a_server_that_is_away_or_silent_fails_soon_and_clearly(redis: RedisServer) -> None:
    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(BrokerError, match=r"(refused|Connect call failed)"):
            await Member(f"redis://user:secret@localhost:1?{QUICK}").join()
        with pytest.raises(BrokerError, match=r"No such file"):
            await Member("unix:///nowhere").join()
        redis.suspend()
        try:
            with pytest.raises(BrokerError, match=r"no answer within 0\.5 s$"):
                await Member(redis.url("connect_timeout=0.5")).join()
        finally:
            redis.resume()
        assert time.monotonic() - began < 5

    run(main())


def test_a_killed_server_is_noticed_at_once() -> None:
    async def main() -> None:
        with RedisServer() as server:
            member = await Member(server.url("")).join("t")
            server.kill()
            began = time.monotonic()
            assert await member.broker.wait_until_lost()
            assert time.monotonic() - began < 2
            for use in (
                member.broker.publish(numbered("t", 0, 1)),
                member.broker.subscribe(["u"]),
                member.broker.unsubscribe(["t"]),
            ):
                with pytest.raises(BrokerError):
                    await use
            server.start()
            await member.join("t")
            await member.publish("t", "back")
            await until(lambda: member.texts() == ["back"])
            await member.broker.close()

    run(main())


def test_what_a_lost_connection_did_not_take_is_counted_once() -> None:
    async def main() -> None:
        with RedisServer() as server:
            member = await Member(server.url("")).join()
            server.suspend()
            message = Publication("t", b"x" * 10_000, is_text=True, compress=False)
            assert await member.broker.publish([message] * 5) == 0
            asyncio.get_running_loop().call_later(0.1, server.kill)
            with pytest.raises(BrokerError):
                await member.broker.publish([message] * 2000)
            await member.broker.close()
            server.start()
            await member.join()
            # Whoever publishes counts those of the call that failed.
            assert await member.publish("t", "x") == 5
            await member.broker.close()

    run(main())


def test_a_stopped_server_is_noticed_and_nothing_is_late_or_twice_when_it_goes_on() -> None:
    async def main() -> None:
        with RedisServer() as server:
            one = await Member(server.url(f"{QUICK}&connect_timeout=0.5")).join("t")
            two = await Member(server.url("")).join("t")
            server.suspend()
            lost = asyncio.ensure_future(one.broker.wait_until_lost())
            with pytest.raises(BrokerError):
                await flood(one, "t")
            assert "did not answer" in await lost
            await one.broker.close()
            with pytest.raises(BrokerError):
                await one.broker.connect(one.got.extend)
            server.resume()
            await one.join("t")
            one.got.clear()
            await one.publish("t", "new")
            await until(lambda: two.texts()[-1:] == ["new"])
            found = [int(each) for each in two.texts()[:-1]]
            assert found == list(range(len(found)))
            await until(lambda: one.got)
            assert one.texts() == ["new"]
            await one.broker.close()
            await two.broker.close()

    run(main())


def test_a_pause_shorter_than_patience_loses_nothing() -> None:
    async def main() -> None:
        with RedisServer() as server:
            one, two = await Member(server.url("ping_interval=0.3&timeout=5")).join(), await Member(server.url("")).join("t")
            server.suspend()
            for number in range(50):
                await one.publish("t", str(number))
                await asyncio.sleep(0.02)
            server.resume()
            await until(lambda: len(two.got) == 50)
            assert two.texts() == [str(number) for number in range(50)]
            await one.broker.close()
            await two.broker.close()

    run(main())


@pytest.mark.parametrize(
    ("url", "about"),
    [
        ("redis://localhost?ping_interval=no", "ping_interval"),
        ("redis://localhost?timeout=0", "timeout"),
        ("redis://localhost?protocol=2", "protocol"),
        ("redis://localhost?socket_timeout=1", "socket_timeout"),
        ("redis://localhost?colour=blue", "colour"),
        ("redis://localhost?ssl_ca_certs=x", "ssl_ca_certs"),
        ("redis://localhost?sentinel_password=x", "sentinel_password"),
        ("redis://localhost:http", "http"),
        ("redis+sentinel://a:b:c/mymaster", "host:port"),
        ("redis+cluster://", "host:port"),
        ("unix://", "path"),
    ],
)
def test_wrong_urls_are_told_at_once(url: str, about: str) -> None:
    with pytest.raises(ValueError, match=about):
        Member(url)
