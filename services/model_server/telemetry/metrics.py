"""Counts and times under vLLM's names and labels with our own prefix, in a registry of our own.

Requests that run and wait are told by their class and not by their model: all models share the queues, and
it is the class that has a bound.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from services.model_server.engine.base import EngineHealth
from services.model_server.telemetry.record import RequestRecord

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
Gauges = Callable[[], dict[str, dict[str, float]]]
"""Values of now: name of the gauge -> class of requests -> value."""


class Metrics:
    """What is counted; `registry` is what a scrape reads."""

    def __init__(self) -> None:
        """Everything is zero."""
        self.registry = CollectorRegistry()
        model = ("model_name",)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(f"parable_{name}", text, model, registry=self.registry, buckets=_SECONDS)

        def counter(name: str, text: str, labels: tuple[str, ...]) -> Counter:
            return Counter(f"parable_{name}", text, labels, registry=self.registry)

        self._prompt_tokens = counter("prompt_tokens", "Tokens read.", model)
        self._generation_tokens = counter("generation_tokens", "Tokens made.", model)
        self._success = counter("request_success", "Choices that ended.", (*model, "finished_reason"))
        self._first_token = histogram("time_to_first_token_seconds", "From arrival to the first token.")
        self._queue = histogram("request_queue_time_seconds", "Waited for a turn.")
        self._prefill = histogram("request_prefill_time_seconds", "From a request's turn to its first token.")
        self._decode = histogram("request_decode_time_seconds", "From the first token to the last.")
        self._latency = histogram("e2e_request_latency_seconds", "From arrival to the end of the answer.")
        self._http = counter("http_requests", "Answers, by route and status.", ("method", "route", "status"))

    def watch(self, health: Callable[[], EngineHealth], gauges: Gauges) -> None:
        """Read these at every scrape."""
        self.registry.register(_Now(health, gauges))

    def note(self, record: RequestRecord, status: int) -> None:
        """Count a request that has ended."""
        self._http.labels(record.method, record.route, str(status)).inc()
        if record.model is None or status >= 400 or record.error is not None:
            return
        model = record.model
        self._prompt_tokens.labels(model).inc(record.prompt_tokens)
        self._generation_tokens.labels(model).inc(record.generation_tokens)
        for finish in record.finish:
            self._success.labels(model, finish).inc()
        if record.queue_seconds is None:
            return
        self._latency.labels(model).observe(record.seconds)
        self._queue.labels(model).observe(record.queue_seconds)
        if record.first_token_seconds is not None:
            self._first_token.labels(model).observe(record.first_token_seconds)
            self._prefill.labels(model).observe(max(0.0, record.first_token_seconds - record.queue_seconds))
            self._decode.labels(model).observe(max(0.0, record.seconds - record.first_token_seconds))


class _Now(Collector):
    """What is read when it is asked for."""

    def __init__(self, health: Callable[[], EngineHealth], gauges: Gauges) -> None:
        self._health = health
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        health = self._health()
        yield GaugeMetricFamily(
            "parable_kv_cache_usage_perc", "Share of the key-value memory in use.", value=health.cache_usage
        )
        yield GaugeMetricFamily("parable_engine_running", "Sequences in the batch.", value=health.num_running)
        yield GaugeMetricFamily(
            "parable_engine_waiting", "Requests that the engine has not begun.", value=health.num_waiting
        )
        yield GaugeMetricFamily(
            "parable_engine_seconds_since_progress",
            "Since the engine last did a step or was idle.",
            value=health.seconds_since_progress,
        )
        yield HistogramMetricFamily(
            "parable_iteration_tokens_total",
            "Tokens that a step of the engine read, over all models.",
            buckets=health.iterations.cumulative(),
            sum_value=health.iterations.num_tokens,
        )
        yield CounterMetricFamily(
            "parable_engine_restarts",
            "How often the engine's process was started anew.",
            value=health.restarts,
        )
        for name, values in self._gauges().items():
            family = GaugeMetricFamily(f"parable_{name}", "By class of requests.", labels=["class"])
            for kind, value in values.items():
                family.add_metric([kind], value)
            yield family
