"""What tests of coroutines run in."""

from __future__ import annotations

import gc
from typing import Any, Callable

import pytest
from begun_coroutines import LOOPS, Place, Scenario


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    def in_loop(scenario: Scenario, debug: bool = False) -> None:
        loop = LOOPS[request.param]()
        loop.set_debug(debug)
        problems: list[Any] = []
        loop.set_exception_handler(lambda _loop, context: problems.append(context))
        place = Place(loop)

        async def main() -> None:
            await scenario(place)
            for task in place.runner.take_all():
                task.cancel()
            await place.turns()

        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
        gc.collect()
        assert problems == []

    return in_loop
