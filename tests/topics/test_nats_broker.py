"""Brokers of NATS against Debian's server: each a connection of its own, as another process would have."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broker_member import KINDS, Member, flood, numbered, texts, until
from broker_servers import QUICK, NatsServer
from tls_files import Files

from socketify.topics.broker import BrokerError, Publication

pytest.importorskip("nats")

#: Names that subjects cannot have, and one that is too long for a line of the protocol.
NAMES = ["plain", "a.b", "", "a b\r\n", ".", "a..b.", "*", ">", "a.*", "%", "$SYS.x", "ü", "l" * 5000]


@pytest.fixture(scope="module")
def nats() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


def run(coroutine: Any) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def test_everything_arrives_once_and_in_order_and_nothing_comes_back(nats: NatsServer) -> None:
    async def main() -> None:
        one, two = await Member(nats.url()).join("a", "b"), await Member(nats.url()).join("a")
        for first in range(0, 5000, 50):
            await asyncio.gather(
                one.broker.publish(numbered("a", first, first + 50)), two.broker.publish(numbered("a", first, first + 50))
            )
        for member in one, two:
            await until(lambda member=member: len(member.got) >= 5000)
            assert member.texts() == texts(numbered("a", 0, 5000))
        await one.broker.unsubscribe(["a", "b", "never"])
        await two.publish("a", "x")
        await one.broker.subscribe(["c", "c"])
        assert len(one.got) == 5000
        await two.publish("c", "y")
        await until(lambda: len(one.got) == 5001)
        await one.broker.close()
        await two.broker.close()

    run(main())


def test_any_topic_and_any_message_survives(nats: NatsServer) -> None:
    async def main() -> None:
        one, two = await Member(nats.url()).join(), await Member(nats.url()).join(*NAMES)
        sent = [Publication(topic, *kind) for kind in KINDS for topic in NAMES]
        assert await one.broker.publish(sent) == 0
        await until(lambda: len(two.got) == len(sent))
        assert two.got == sent
        await one.broker.close()
        await two.broker.close()

    run(main())


def test_other_programs_publish_and_read_plainly(nats: NatsServer) -> None:
    async def main() -> None:
        member = await Member(nats.url(f"{QUICK}&prefix=chat.")).join("news.sport")
        with socket.create_connection((nats.host, nats.port), 10) as other:
            other.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nSUB chat.> 1\r\nPUB news.sport 2\r\nno\r\n')
            other.sendall(b"PUB chat.news.sport 12\r\nhello w\xc3\xb6rld\r\n")
            await until(lambda: member.got)
            assert member.got == [Publication("news.sport", "hello wörld".encode(), is_text=True, compress=False)]
            await member.publish("news.sport", "from here")
            got = b""
            while not got.endswith(b"MSG chat.news.sport 1 9\r\nfrom here\r\n"):
                got += await asyncio.to_thread(other.recv, 4096)
        await member.broker.close()

    run(main())


def test_what_is_too_large_is_lost_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server = NatsServer()
        server.configure("max_payload: 1000")
        with server:
            one, two = await Member(server.url()).join(), await Member(server.url()).join("t")
            sizes = [10, 1000, 1001, 980, 5000]
            sent = [Publication("t", b"x" * size, is_text=True, compress=False) for size in sizes]
            assert await one.broker.publish(sent) == 2
            # A header counts as well.
            assert await one.broker.publish([sent[1]._replace(compress=True), sent[0]]) == 1
            await until(lambda: len(two.got) == 4)
            assert [len(each.data) for each in two.got] == [10, 1000, 980, 10]
            await one.broker.close()
            await two.broker.close()

    run(main())
    assert caplog.text.count("max_payload of the server is 1000") == 1


def test_users_and_tokens_and_what_they_may_not_do(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server = NatsServer()
        server.configure(
            'authorization { users = [{user: "ann", password: "p@ss w:rd", '
            'permissions: {publish: "open.>", subscribe: "open.>"}}] }'
        )
        with server:
            place = f"127.0.0.1:{server.port}?{QUICK}"
            member = await Member(f"nats://ann:p%40ss%20w%3Ard@{place}").join("open.a", "closed", "open.b")
            other = await Member(f"nats://ann:p%40ss%20w%3Ard@127.0.0.1:1,{place}").join()
            for topic in "open.a", "closed", "open.b":
                await other.publish(topic, topic)
            await until(lambda: len(member.got) == 2)
            assert member.texts() == ["open.a", "open.b"]
            for wrong in f"nats://ann:wrong@{place}", f"nats://{place}":
                with pytest.raises(BrokerError, match=r"^Authorization Violation$"):
                    await Member(wrong).join()
            await member.broker.close()
            await other.broker.close()
        server = NatsServer()
        server.configure('authorization { token: "s3cr3t+" }')
        with server:
            member = await Member(f"nats://s3cr3t%2B@127.0.0.1:{server.port}?{QUICK}").join("t")
            await member.broker.close()

    run(main())
    assert "permissions violation for subscription" in caplog.text
    assert "permissions violation for publish" in caplog.text
    assert "p@ss" not in caplog.text


def test_more_subscriptions_than_the_server_permits_are_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server = NatsServer()
        server.configure("max_subscriptions: 2")
        with server:
            member, other = await Member(server.url()).join("a", "b", "c", "d"), await Member(server.url()).join()
            for topic in "d", "a":
                await other.publish(topic, topic)
            await until(lambda: member.texts() == ["a"])
            await member.broker.close()
            await other.broker.close()

    run(main())
    assert caplog.text.count("maximum subscriptions exceeded") == 1


def test_tls(tmp_path: Path) -> None:
    files = Files(tmp_path)
    leaf = files.issue("server")

    async def main() -> None:
        server = NatsServer("--tls", "--tlscert", leaf["cert_file_name"], "--tlskey", leaf["key_file_name"])
        with server:
            place = f"127.0.0.1:{server.port}?{QUICK}"
            member = await Member(f"tls://{place}&ssl_ca_certs={files.ca_file}").join("t")
            other = await Member(f"nats://{place}&ssl_ca_certs={files.ca_file}").join()
            await other.broker.publish(numbered("t", 0, 1000))
            await until(lambda: len(member.got) == 1000)
            with pytest.raises(BrokerError, match="certificate"):
                await Member(f"tls://{place}").join()
            server.suspend()
            assert "did not answer" in await member.broker.wait_until_lost()
            server.resume()
            await member.join("t")
            await member.broker.close()
            await other.broker.close()

    run(main())


def test_tls_tells_nothing_to_a_server_without_it(nats: NatsServer) -> None:
    async def main() -> None:
        with pytest.raises(BrokerError, match="the server has no TLS"):
            await Member(f"tls://user:secret@127.0.0.1:{nats.port}?{QUICK}").join()

    run(main())


def test_a_server_that_is_away_or_silent_fails_soon_and_clearly(nats: NatsServer) -> None:
    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(BrokerError, match=r"(refused|Connect call failed)"):
            await Member(f"nats://user:secret@localhost:1?{QUICK}").join()
        nats.suspend()
        try:
            with pytest.raises(BrokerError, match=r"no answer within 0\.5 s$"):
                await Member(nats.url("connect_timeout=0.5")).join()
        finally:
            nats.resume()
        assert time.monotonic() - began < 5

    run(main())


def test_a_killed_server_is_noticed_at_once() -> None:
    async def main() -> None:
        with NatsServer() as server:
            member, other = await Member(server.url("")).join("t"), await Member(server.url()).join()
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
            await other.join()
            await other.publish("t", "back")
            await until(lambda: member.texts() == ["back"])
            await member.broker.close()
            await other.broker.close()

    run(main())


def test_a_stopped_server_is_noticed_and_nothing_is_late_or_twice_when_it_goes_on() -> None:
    async def main() -> None:
        with NatsServer() as server:
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
            await one.publish("t", "new")
            await until(lambda: two.texts()[-1:] == ["new"])
            found = [int(each) for each in two.texts()[:-1]]
            assert found == list(range(len(found)))
            # What it had published before does not come back by the new connection.
            assert not one.got
            await one.broker.close()
            await two.broker.close()

    run(main())


def test_a_pause_shorter_than_patience_loses_nothing() -> None:
    async def main() -> None:
        with NatsServer() as server:
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
        ("nats://localhost?ping_interval=no", "ping_interval"),
        ("nats://localhost?colour=blue", "colour"),
        ("nats://localhost?prefix=a b", "prefix"),
        ("nats://localhost?prefix=a.*", "prefix"),
        ("nats://localhost?ssl_ca_certs=/nowhere", "TLS"),
        ("nats://localhost:http", "HOST:PORT"),
        ("nats://", "HOST:PORT"),
    ],
)
def test_wrong_urls_are_told_at_once(url: str, about: str) -> None:
    with pytest.raises(ValueError, match=about):
        Member(url)
