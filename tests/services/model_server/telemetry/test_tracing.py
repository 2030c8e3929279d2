"""OpenTelemetry spans where an endpoint is configured, and nothing of OpenTelemetry where none is."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from services.model_server import ServerSettings
from services.model_server.telemetry.record import RequestRecord
from services.model_server.telemetry.tracing import Tracing
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import run_live


class Collector(BaseHTTPRequestHandler):
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_request_is_a_span_under_its_caller_s() -> None:
    Collector.bodies = []
    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever).start()
        settings = ServerSettings(otlp_endpoint=f"http://127.0.0.1:{collector.server_port}/v1/traces")
        engine = BigramEngine({"a": table(0)})
        with run_live(engine, FixedModels(), settings) as live, live.client() as client:
            trace = "0af7651916cd43dd8448eb211c80319c"
            ask = {"model": "latest", "prompt": "The AI", "max_tokens": 2, "temperature": 0}
            headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            assert client.post("/v1/completions", json=ask, headers=headers).status_code == 200
            engine.failure = ZeroDivisionError("a fault")
            assert client.post("/v1/completions", json=ask).status_code == 500
        collector.shutdown()
    spans = [
        span
        for body in Collector.bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    span, broken = [span for span in spans if span.name == "POST /v1/completions"]
    assert span.trace_id.hex() == trace
    assert broken.status.code == broken.status.STATUS_CODE_ERROR
    assert "toy.a.seed-0@100" in {one.value.string_value for one in broken.attributes}
    told = {one.key: one.value for one in span.attributes}
    assert told["gen_ai.request.model"].string_value == "toy.a.seed-0@100"
    assert told["gen_ai.usage.input_tokens"].int_value == 2
    assert told["gen_ai.usage.output_tokens"].int_value == 2


def test_a_collector_that_does_not_answer_holds_up_the_end_for_two_seconds() -> None:
    """Left to itself, the exporter waits for ten and tries again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracing = Tracing.to(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces")
        assert tracing is not None
        with tracing.span(RequestRecord("id", method="GET", route="/v1/models"), {}):
            pass
        began = time.monotonic()
        tracing.close()
        assert time.monotonic() - began < 5


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    code = (
        "import sys, services.model_server.build, services.model_server.serve\n"
        "from services.model_server.telemetry.tracing import Tracing\n"
        "assert Tracing.to(None) is None\n"
        "bad = {'opentelemetry.sdk', 'torch', 'transformers'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
