"""What deploy/ has for Prometheus and Grafana, against the metrics of a running gate: Debian's promtool and a Prometheus that
really scrapes. Grafana itself is not run; its queries are."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.parse

import prometheus_client.openmetrics.parser as openmetrics
import pytest
import world
import yaml

DEPLOY = world.ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
PAGE = world.ROOT / "docs" / "monitoring.md"
KEY = "sk-monitoring"
AUTH = {"authorization": f"Bearer {KEY}"}
CONFIG = f"""
master_key: {KEY}
models:
  priced: [{{ provider: simulator, price: {{ input_usd_per_mtok: 10, output_usd_per_mtok: 30 }} }}]
  free: [{{ provider: simulator }}]
  limited: [{{ provider: simulator, rpm: 1 }}]
routing: {{ retries: 0, cooldown_ms: 0 }}
"""
# What Grafana puts into a query when everything is shown.
GRAFANA = {"$__rate_interval": "1m", "$__range": "1h", "$model": ".*", "$deployment": ".*"}
# Labels that Prometheus adds.
ADDED = {"job", "instance"}


def tool(name: str) -> str:
    """Where Debian's package `prometheus` has put it."""
    if path := shutil.which(name):
        return path
    why = f"{name} is not installed"
    if os.environ.get("REQUIRE_SHARED"):
        pytest.fail(why)
    return pytest.skip(why)


def promtool(*arguments, text: str = "", cwd: pathlib.Path | None = None) -> tuple[int, str]:
    done = subprocess.run([tool("promtool"), *map(str, arguments)], input=text, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


def ask(gate, model: str, prompt: str, key: str = KEY, **more) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
    return world.post(f"{gate.url}/v1/chat/completions", body, {"authorization": f"Bearer {key}"})[0]


def leave(gate, model: str):
    """Asks, and leaves before the end of the answer."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "hello\nsimulate: hang"}]}).encode()
    with socket.create_connection(("127.0.0.1", gate.port)) as s:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        s.sendall(head.encode() + body)
        assert b"200 OK" in s.recv(1000)


def call_in_every_way(gate):
    """Calls that end in every way, and who is refused before there is a call."""
    assert [ask(gate, "priced", "hello") for _ in range(3)] == [200] * 3
    assert ask(gate, "priced", "hello", stream=True) == 200
    assert ask(gate, "free", "hello") == 200
    assert [ask(gate, "limited", "hello") for _ in range(2)] == [200, 429]
    wrong = {"context overflow": 400, "content policy": 400, "429 retry-after=1": 429, "500": 500, "malformed": 502, "cut": 502}
    assert {how: ask(gate, "priced", f"hello\nsimulate: {how}") for how in wrong} == wrong
    assert ask(gate, "absent", "hello") == 404
    assert ask(gate, "priced", "hello", key="wrong") == 401
    before = len(gate.records())
    leave(gate, "priced")
    world.wait_for(lambda: len(gate.records()) > before, "the record", gate.process)


@pytest.fixture(scope="module")
def watched():
    """A gate with a key, after calls of all kinds."""
    gate = world.Gate(config=CONFIG)
    try:
        call_in_every_way(gate)
        yield gate
    finally:
        gate.process.kill()
        gate.process.wait()


def metrics(gate) -> str:
    status, body = world.get(f"{gate.url}/metrics", AUTH)
    assert status == 200
    return body.decode()


@pytest.fixture(scope="module")
def served(watched) -> dict[str, set[str]]:
    """Every name that can be asked for, and its labels."""
    found = {"up": set()}
    for family in openmetrics.text_string_to_metric_families(metrics(watched)):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def families(served: dict[str, set[str]]) -> set[str]:
    """The names without what a histogram puts behind them."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in served} - {"up"}


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict:
    return json.loads((DEPLOY / "grafana" / "tollgate.json").read_text())


def queries() -> list[tuple[str, str, str]]:
    """Title, expression and legend of everything that the dashboard asks."""
    return [(panel["title"], target["expr"], target["legendFormat"]) for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def variables() -> list[tuple[str, str]]:
    """Metric and label of each variable that is asked for."""
    asked = [variable["query"]["query"] for variable in dashboard()["templating"]["list"] if variable["type"] == "query"]
    return [re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups() for query in asked]


NAMED = re.compile(r"\b(tollgate_\w+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def test_metrics_are_what_promtool_and_the_official_parser_read(watched):
    text = metrics(watched)
    assert all(family.documentation and family.samples for family in openmetrics.text_string_to_metric_families(text)), text
    # It reads the older format: there the help of a counter belongs to another name. 1 would be text that it cannot read.
    status, said = promtool("check", "metrics", text=text)
    assert status in (0, 3), said
    assert [line for line in said.splitlines() if not line.endswith("_total no help text")] == []


def test_promtool_accepts_rules_and_configuration_and_their_tests_pass(tmp_path):
    folder = tmp_path / "prometheus"
    shutil.copytree(DEPLOY / "prometheus", folder)
    (folder / "tollgate.key").write_text(KEY)
    for arguments in [("check", "rules", "alerts.yaml"), ("check", "config", "prometheus.yaml"), ("test", "rules", "alerts_test.yaml")]:
        status, said = promtool(*arguments, cwd=folder)
        assert status == 0 and "SUCCESS" in said, said


def test_every_alert_says_what_to_do_and_has_a_test():
    tested = (DEPLOY / "prometheus" / "alerts_test.yaml").read_text()
    for rule in rules():
        name = rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert {"summary", "description"} == set(rule["annotations"]), name
        assert f'ALERTS{{alertname="{name}",alertstate="firing"' in tested or f"alertname: {name}\n" in tested, name
    assert tested.count("exp_samples: []") > len(rules())


def test_every_name_and_label_that_is_asked_for_is_served(served):
    faults = set(re.findall(r'^    \w+, "(\w+)", \d{3}, \w+, \w+, \w+;', (world.ROOT / "crates/tollgate-core/src/fault.rs").read_text(), re.M))
    values = {"fault": faults, "blame": {"client", "gate", "upstream"}, "outcome": {"ok", "refused", "failed", "client_gone"}, "job": {"tollgate"}}
    assert len(faults) > 20
    asked = [(rule["alert"], rule["expr"], "".join(rule["annotations"].values())) for rule in rules()] + queries()
    for where, expression, shown in asked:
        names = NAMED.findall(expression)
        assert names, where
        labels = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",") if label.strip()}
        for name, matchers in names:
            assert name in served, f"{where}: {name} is not served"
            assert labels <= served[name] | ADDED, f"{where}: {name} has no {labels - served[name]}"
            for label, value in MATCHER.findall(matchers):
                assert label in served[name] | ADDED, f"{where}: {name} has no {label}"
                known = values.get(label, set()) | {"", *GRAFANA}
                assert set(value.split("|")) <= known, f"{where}: {label} is never {value}"
        in_text = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", shown))
        assert in_text <= labels | (ADDED if not labels else set()), f"{where}: {in_text} is not known after {labels}"
        for name in re.findall(r"tollgate_\w+", shown):
            assert name in families(served), f"{where}: {name} is not served"
    for metric, label in variables():
        assert label in served[metric]


def test_the_dashboard_can_be_imported_anywhere():
    made = dashboard()
    panels = made["panels"]
    assert made["id"] is None and len({panel["id"] for panel in panels}) == len(panels)
    assert [v["name"] for v in made["templating"]["list"]] == ["datasource", "model", "deployment"]
    # No data source is named but by the variable.
    asking = [v for v in made["templating"]["list"] if v["type"] == "query"] + [part for panel in panels if panel["type"] != "row" for part in [panel, *panel["targets"]]]
    assert all(part["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for part in asking)
    assert json.dumps(made).count('"datasource": ') == len(asking)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"], panel["title"]


def test_the_page_names_what_there_is(served):
    text = PAGE.read_text()
    assert set(re.findall(r"^\| `(tollgate_\w+)`", text, re.M)) == families(served)
    assert re.findall(r"^\| `(Tollgate\w+)`", text, re.M) == [rule["alert"] for rule in rules()]


class Prometheus:
    """A Prometheus that scrapes one gate, with the configuration of deploy/ but for addresses and intervals."""

    def __init__(self, folder: pathlib.Path, gate: world.Gate):
        self.folder = folder
        shutil.copytree(DEPLOY / "prometheus", folder / "etc")
        (folder / "etc" / "tollgate.key").write_text(KEY)
        config = yaml.safe_load((folder / "etc" / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        assert config["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:4000"]}]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{gate.port}"]
        (folder / "etc" / "prometheus.yaml").write_text(yaml.safe_dump(config))
        port = world.free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [tool("prometheus"), f"--config.file={folder}/etc/prometheus.yaml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self.wait(lambda: world.get(f"{self.url}/-/ready")[0] == 200, "Prometheus")
        except RuntimeError:
            self.stop()
            raise

    def wait(self, ready, what: str):
        try:
            return world.wait_for(ready, what, self.process, seconds=60)
        except RuntimeError as error:
            raise RuntimeError(f"{error}:\n{self.log.read_text()[-3000:]}") from error

    def api(self, path: str, **parameters):
        status, body = world.get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        assert status == 200, body
        return json.loads(body)["data"]

    def query(self, expression: str) -> list[dict]:
        return self.api("query", query=expression)["result"]

    def alerts(self, state: str) -> dict[str, dict]:
        return {alert["labels"]["alertname"]: alert for alert in self.api("alerts")["alerts"] if alert["state"] == state}

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def prometheus(tmp_path):
    """A Prometheus and the gate that it scrapes, both the test's own."""
    tool("prometheus")
    gate = world.Gate(config=CONFIG)
    server = None
    try:
        server = Prometheus(tmp_path, gate)
        yield server, gate
    finally:
        if server:
            server.stop()
        gate.process.kill()
        gate.process.wait()


def test_a_real_prometheus_scrapes_answers_and_alerts(prometheus):
    prometheus, gate = prometheus
    counted = lambda expression: [float(found["value"][1]) for found in prometheus.query(expression)]  # noqa: E731
    prometheus.wait(lambda: counted("tollgate_failed_reloads_total") == [0], "the first scrape")
    call_in_every_way(gate)
    ended = gate.records()
    prometheus.wait(lambda: counted("sum(tollgate_calls_total)") == [len(ended)], f"{len(ended)} calls")
    for outcome in {entry["outcome"] for entry in ended}:
        assert counted(f'sum(tollgate_calls_total{{outcome="{outcome}"}})') == [sum(entry["outcome"] == outcome for entry in ended)]
    assert ask(gate, "priced", "hello") == 200
    prometheus.wait(lambda: counted("sum(tollgate_calls_total)") == [len(ended) + 1], "a further call")
    cost = sum(entry["cost_nano_usd"] for entry in gate.records() if isinstance(entry.get("cost_nano_usd"), int))
    assert cost
    prometheus.wait(lambda: counted("sum(tollgate_cost_nano_usd_total)") == [cost], f"a cost of {cost}")

    # Everything that the dashboard asks has an answer.
    for title, expression, _ in queries():
        for name, value in GRAFANA.items():
            expression = expression.replace(name, value)
        prometheus.wait(lambda e=expression: prometheus.query(e), f"{title}: {expression}")
    for metric, label in variables():
        values = prometheus.api(f"label/{label}/values", **{"match[]": metric})
        assert values == {"model": ["free", "limited", "priced"], "deployment": ["simulator/free", "simulator/limited", "simulator/priced"]}[label]

    # Every rule is computed, and those that are due at once fire.
    state = lambda: [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]  # noqa: E731
    prometheus.wait(lambda: {rule["health"] for rule in state()} == {"ok"}, "the rules")
    assert [rule["name"] for rule in state()] == [rule["alert"] for rule in rules()]
    assert prometheus.alerts("firing") == {}
    gate.config.write_text("models: {")
    fired = prometheus.wait(lambda: prometheus.alerts("firing").get("TollgateReloadFailed"), "the alert")
    assert fired["annotations"]["summary"] == f"The gate at 127.0.0.1:{gate.port} did not take its changed configuration"
    assert gate.stop() == 0
    prometheus.wait(lambda: "TollgateDown" in prometheus.alerts("pending"), "the alert")
