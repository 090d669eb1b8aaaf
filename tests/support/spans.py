"""What OpenTelemetry gets from a program under test, kept in memory."""

from __future__ import annotations

import time
from typing import Any, Optional

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

#: What a client says of its own trace (W3C Trace Context).
TRACE, PARENT = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE:032x}-{PARENT:016x}-01"


class Recorder:
    """Spans and metrics of this process; a process has one, as the providers can be set once."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def use_globally(self) -> None:
        trace.set_tracer_provider(self.tracer_provider)
        metrics.set_meter_provider(self.meter_provider)

    def clear(self) -> None:
        self._exporter.clear()

    def wait_for(self, name: str, count: int = 1) -> list[ReadableSpan]:
        """Return the spans of a name, once there are so many: they end a moment later than their response."""
        deadline = time.monotonic() + 20
        while len(found := [each for each in self.spans() if each.name == name]) < count:
            assert time.monotonic() < deadline, [each.name for each in self.spans()]
            time.sleep(0.005)
        assert len(found) == count
        return found

    def one(self, name: str) -> ReadableSpan:
        return self.wait_for(name)[0]

    def of_server(self) -> ReadableSpan:
        """Return the only span of kind SERVER, whatever its name, once there is one."""
        deadline = time.monotonic() + 20
        while not (found := [each for each in self.spans() if each.kind == SpanKind.SERVER]):
            assert time.monotonic() < deadline, [each.name for each in self.spans()]
            time.sleep(0.005)
        assert len(found) == 1
        return found[0]

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def points(self, name: str, **attributes: Any) -> list[Any]:
        """Return the points of a metric with these attributes, whose dots are written as two underscores."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
            if wanted.items() <= dict(point.attributes).items()
        ]


_recorder: Optional[Recorder] = None


def global_recorder() -> Recorder:
    """Return what the global providers lead to."""
    global _recorder  # noqa: PLW0603
    if _recorder is None:
        _recorder = Recorder()
        _recorder.use_globally()
    _recorder.clear()
    return _recorder
