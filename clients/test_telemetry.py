"""OpenTelemetry as others read it: traces by Phoenix, a receiver from PyPI; metrics by the messages of OpenTelemetry's own package."""

import json
import os
import pathlib
import subprocess
import tempfile

import pytest
import world
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PHOENIX = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tollgate" / "phoenix" / "bin" / "phoenix"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def phoenix():
    port, folder = world.free_port(), tempfile.mkdtemp(prefix="phoenix-")
    env = {**os.environ, "PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": str(world.free_port()), "PHOENIX_WORKING_DIR": folder, "PHOENIX_TELEMETRY_ENABLED": "false", "PHOENIX_HOST": "127.0.0.1"}
    process = subprocess.Popen([PHOENIX, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        world.wait_for(lambda: world.get(f"http://127.0.0.1:{port}/healthz")[0] == 200, "phoenix", process, 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def config(url: str, more: str = "") -> str:
    return f"""
models:
  sim:
    - {{ provider: simulator, model: sim-1, price: {{ input_usd_per_mtok: 1, output_usd_per_mtok: 2 }} }}
telemetry: {{ otlp: {{ url: "{url}", seconds: 1{more} }} }}
routing: {{ retries: 1, backoff_ms: 0 }}
"""


def chat(gate, text: str):
    return world.post(f"{gate.url}/v1/chat/completions", {"model": "sim", "messages": [{"role": "user", "content": text}]}, {"traceparent": PARENT})


def test_traces_are_read_by_phoenix(own_gate, phoenix):
    gate = own_gate(config=config(phoenix, ", metrics: false"))
    assert chat(gate, "hello")[0] == 200
    assert chat(gate, "simulate: 500")[0] == 500
    spans = lambda: json.loads(world.get(f"{phoenix}/v1/projects/default/spans")[1])["data"]  # noqa: E731
    world.wait_for(lambda: len(spans()) >= 5, "spans", gate.process, 30)
    by_id = {span["context"]["span_id"]: span for span in spans()}
    calls = [span for span in by_id.values() if span["parent_id"] == "00f067aa0ba902b7"]
    attempts = [span for span in by_id.values() if span["parent_id"] in by_id]
    assert (len(calls), len(attempts)) == (2, 3)
    assert {span["context"]["trace_id"] for span in by_id.values()} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
    good = next(span for span in calls if span["status_code"] != "ERROR")
    # Phoenix translates what it knows of the conventions: it has understood them.
    assert good["span_kind"] == "LLM" and good["name"] == "chat sim" and good["attributes"]["llm.model_name"] == "sim"
    assert good["attributes"]["llm.token_count.prompt"] > 0 and good["attributes"]["tollgate.cost.nano_usd"] > 0
    bad = next(span for span in calls if span["status_code"] == "ERROR")
    assert bad["attributes"]["error.type"] == "upstream_failed" and bad["attributes"]["tollgate.fault.blame"] == "upstream"


def test_metrics_and_traces_are_what_the_protocol_says(own_gate):
    collector = world.Received(status=503)
    gate = own_gate(config=config(collector.url))
    assert chat(gate, "hello")[0] == 200
    assert chat(gate, "simulate: context overflow")[0] == 400
    noted = lambda: [e for e in map(json.loads, world.journal(gate.folder / "data").splitlines()) if e.get("event") == "otlp_traces"]  # noqa: E731
    world.wait_for(noted, "a failure that is noted", gate.process)
    # A collector that was away gets what it has missed.
    collector.status = 200
    paths = lambda: {path for path, _, _ in collector.requests}  # noqa: E731
    world.wait_for(lambda: paths() >= {"/v1/traces", "/v1/metrics"}, "both signals", gate.process, 30)
    assert all(headers["content-type"] == "application/x-protobuf" for _, headers, _ in collector.requests)
    traces = [ExportTraceServiceRequest.FromString(body) for path, _, body in collector.requests if path == "/v1/traces"]
    spans = [span for request in traces for r in request.resource_spans for s in r.scope_spans for span in s.spans]
    assert len(spans) == 4 and all(span.end_time_unix_nano >= span.start_time_unix_nano > 1.6e18 for span in spans)
    resource = {a.key: a.value.string_value for a in traces[0].resource_spans[0].resource.attributes}
    assert resource["service.name"] == "tollgate" and resource["service.version"]
    request = ExportMetricsServiceRequest.FromString([body for path, _, body in collector.requests if path == "/v1/metrics"][-1])
    metrics = {m.name: m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics}
    assert set(metrics) == {"gen_ai.client.token.usage", "gen_ai.client.operation.duration", "gen_ai.server.time_to_first_token", "tollgate.cost"}
    durations = metrics["gen_ai.client.operation.duration"].histogram
    assert durations.aggregation_temporality == 2 and metrics["gen_ai.client.operation.duration"].unit == "s"
    errors = {next((a.value.string_value for a in p.attributes if a.key == "error.type"), ""): p.count for p in durations.data_points}
    assert errors == {"": 1, "context_window": 1}
    for metric in metrics.values():
        for point in metric.histogram.data_points:
            assert sum(point.bucket_counts) == point.count and len(point.bucket_counts) == len(point.explicit_bounds) + 1
