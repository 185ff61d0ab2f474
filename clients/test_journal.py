"""The journal from outside: by other tools, after tampering, with its keys elsewhere, and what others are told of it."""

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import threading

import pytest
import world

PRICED = "models: { sim: [{ provider: simulator, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }] }\n"


def chat(gate, text: str = "hello", stream: bool = False, headers: dict | None = None):
    return world.post(f"{gate.url}/v1/chat/completions", {"model": "sim", "stream": stream, "messages": [{"role": "user", "content": text}]}, headers)


def chain(gate) -> pathlib.Path:
    return next((gate.folder / "data" / "journal").iterdir())


def entries(gate, **wanted) -> list[dict]:
    read = map(json.loads, world.journal(gate.folder / "data").splitlines())
    return [entry for entry in read if all(entry.get(name) == value for name, value in wanted.items())]


def test_the_chain_is_checked_by_other_tools(own_gate, tmp_path):
    gate = own_gate(config=PRICED)
    for _ in range(5):
        chat(gate)
    assert gate.stop() == 0
    lines = world.journal(gate.folder / "data").encode().splitlines()
    for before, line in zip(lines, lines[1:], strict=False):
        assert json.loads(line)["prev"] == hashlib.sha256(before).hexdigest()
    head = json.loads((chain(gate) / "head.json").read_text())
    raw = (chain(gate) / "head.json").read_text()
    statement = raw[len('{"statement":') : raw.index(',"key":')]
    assert head["statement"]["head"]["hash"] == hashlib.sha256(lines[-1]).hexdigest()
    (tmp_path / "message").write_bytes(b"tollgate journal statement 1\n" + statement.encode())
    (tmp_path / "signature").write_bytes(base64.b64decode(head["signature"]))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", gate.folder / "data/journal.pub", "-rawin", "-in", tmp_path / "message", "-sigfile", tmp_path / "signature"]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0


def test_tampering_is_found_and_named(own_gate, tmp_path):
    gate = own_gate(config=PRICED)
    for _ in range(5):
        chat(gate)
    assert gate.stop() == 0
    data = gate.folder / "data"
    kept = tmp_path / "heads"
    kept.write_text(world.tollgate("journal", "head", "--data-dir", data))
    assert "ok" in world.tollgate("journal", "verify", "--data-dir", data, "--head", kept)
    segment = chain(gate) / "00000000000000000001.jsonl"
    whole = segment.read_text()
    closed = next(line for line in whole.splitlines() if '"closed"' in line)
    cheaper = re.sub(r'"cost_nano_usd":\d+', '"cost_nano_usd":1', closed)
    segment.write_text(whole.replace(closed, cheaper))
    seq = json.loads(closed)["seq"]
    assert f"entry {seq} was altered" in world.tollgate("journal", "verify", "--data-dir", data, status=1)
    segment.write_text("".join(line + "\n" for line in whole.splitlines()[:-3]))
    last = len(whole.splitlines())
    assert f"truncated after entry {last - 3}: a signed head says that there were {last}" in world.tollgate("journal", "verify", "--data-dir", data, status=1)
    # Whoever removes the head too leaves a chain that is whole; the head that was kept elsewhere tells.
    (chain(gate) / "head.json").unlink()
    assert "ok" in world.tollgate("journal", "verify", "--data-dir", data)
    assert "truncated" in world.tollgate("journal", "verify", "--data-dir", data, "--head", kept, status=1)
    report = json.loads(world.tollgate("journal", "verify", "--json", "--data-dir", data, "--head", kept, status=1).split("tollgate:")[0])
    assert report[0]["findings"] and report[0]["entries"] == last - 3


def test_keys_come_from_outside(own_gate, tmp_path):
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "key.pem"], check=True)
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "key.pem", "-pubout", "-out", tmp_path / "pub.pem"], check=True)
    config = PRICED + f"journal: {{ key: {{ file: {tmp_path}/key.pem }}, digest_key: '${{DIGESTS}}', instance: gate-7, sync: every, head_seconds: 1 }}\n"
    digests = []
    for _ in range(2):
        gate = own_gate(config=config, env={"DIGESTS": "one key for all instances"})
        assert chat(gate)[0] == 200
        assert gate.stop() == 0
        assert chain(gate).name == "gate-7" and not (gate.folder / "data/journal.key").exists()
        assert "ok" in world.tollgate("journal", "verify", "--data-dir", gate.folder / "data", "--public-key", tmp_path / "pub.pem")
        digests.append(entries(gate, entry="opened")[0]["request_digest"])
    assert digests[0] == digests[1]
    wrong = own_gate(config=PRICED)
    assert wrong.stop() == 0
    assert "another key" in world.tollgate("journal", "verify", "--data-dir", wrong.folder / "data", "--public-key", tmp_path / "pub.pem", status=1)


def test_content_at_rest_is_encrypted_where_a_key_is_given(own_gate):
    config = PRICED + "capture: { bodies: full, inline_bytes: 0 }\njournal: { content_key: 'a long secret' }\n"
    gate = own_gate(config=config)
    _, headers, _ = chat(gate, "the magic word is xyzzy", headers={"x-api-key": "sk-client-key"})
    call = headers["x-tollgate-call-id"]
    world.wait_for(lambda: call in world.tollgate("calls", "--json", gate=gate), "the index", gate.process)
    assert "xyzzy" in world.tollgate("trace", call, "--raw", gate=gate)
    assert gate.stop() == 0
    for path in (gate.folder / "data").rglob("*"):
        assert not path.is_file() or b"xyzzy" not in path.read_bytes(), path
    data = gate.folder / "data"
    assert "encrypted" in world.tollgate("trace", call, "--raw", "--data-dir", data, status=1)
    assert "damaged" in world.tollgate("trace", call, "--raw", "--data-dir", data, env={"TOLLGATE_CONTENT_KEY": "wrong"}, status=1)
    assert "xyzzy" in world.tollgate("trace", call, "--raw", "--data-dir", data, env={"TOLLGATE_CONTENT_KEY": "a long secret"})


@pytest.mark.parametrize("stream", [False, True])
def test_redacted_content_holds_no_secret(own_gate, stream):
    config = PRICED + "capture: { bodies: redacted, headers: [x-team], patterns: ['project-[a-z]+'] }\n"
    gate = own_gate(config=config)
    text = "Card 4111 1111 1111 1111 of ann@mail.example.org, key sk-abcdefgh12345678, for project-zephyr"
    _, headers, answer = chat(gate, text, stream, {"x-team": "blue", "authorization": "Bearer sk-header-secret"})
    assert b"Card" in answer or b"card" in answer, "the client gets what the model said"
    call = headers["x-tollgate-call-id"]
    world.wait_for(lambda: call in world.tollgate("calls", "--json", gate=gate), "the index", gate.process)
    raw = world.tollgate("trace", call, "--raw", gate=gate)
    assert "[email]" in raw and "[key]" in raw and "[card]" in raw and "[own]" in raw and "FromUpstream" not in raw
    assert entries(gate, entry="opened")[0]["headers"] == {"x-team": "blue"}
    assert "blanked out" in world.tollgate("replay", call, gate=gate, status=1)
    assert gate.stop() == 0
    for path in (gate.folder / "data").rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        for secret in [b"ann@mail", b"sk-abcdefgh", b"4111 1111", b"zephyr", b"sk-header-secret"]:
            assert secret not in held, (path, secret)


def test_without_capture_the_journal_holds_no_content(own_gate):
    gate = own_gate(config=PRICED)
    _, headers, _ = chat(gate, "the magic word is xyzzy", headers={"x-team": "blue"})
    call = headers["x-tollgate-call-id"]
    world.wait_for(lambda: call in world.tollgate("calls", "--json", gate=gate), "the index", gate.process)
    assert "capture was off" in world.tollgate("trace", call, "--raw", gate=gate)
    assert "no content of this call was kept" in world.tollgate("replay", call, gate=gate, status=1)
    assert gate.stop() == 0
    for path in (gate.folder / "data").rglob("*"):
        assert not path.is_file() or (b"xyzzy" not in path.read_bytes() and b"blue" not in path.read_bytes()), path


def test_a_killed_gate_closes_what_was_open_and_charges_it(own_gate):
    gate = own_gate(config=PRICED)
    import http.client

    client = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    body = json.dumps({"model": "sim", "stream": True, "max_tokens": 40, "messages": [{"role": "user", "content": "hi\nsimulate: drip 1000"}]})
    client.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    call = client.getresponse().headers["x-tollgate-call-id"]
    opened = entries(gate, entry="opened", call_id=call)[0]
    gate.process.kill()
    gate.process.wait()
    again = own_gate(config=PRICED, folder=str(gate.folder))
    closed = entries(again, entry="closed", call_id=call)
    assert len(closed) == 1 and closed[0]["outcome"] == "unknown"
    assert closed[0]["fault"]["class"] == "lost" and closed[0]["fault"]["side_effect"] == "possible"
    assert closed[0]["cost_nano_usd"] == opened["reservation"]["cost_nano_usd"] > 0
    world.wait_for(lambda: '"unknown"' in world.tollgate("calls", "--json", "--outcome", "unknown", gate=again), "the index", again.process)
    assert again.stop() == 0
    assert "ok" in world.tollgate("journal", "verify", "--data-dir", again.folder / "data")


def test_strangers_are_rolled_up(own_gate):
    gate = own_gate(config=PRICED + "master_key: sk-1234\n")
    for _ in range(20):
        assert chat(gate, headers={"authorization": "Bearer wrong"})[0] == 401
    assert world.get(f"{gate.url}/api/v1/calls")[0] == 401
    assert gate.stop() == 0
    events = entries(gate, entry="event", event="strangers")
    assert events[0]["detail"]["refused"] == [{"reason": "unauthenticated", "block": "127.0.0.0/24", "count": 21}]
    assert entries(gate, entry="closed") == [] and entries(gate, entry="opened") == []


def test_the_trace_goes_through(own_gate):
    upstream = world.Received(status=503)
    gate = own_gate(config=f"models: {{ m: [{{ provider: openai_compatible, base_url: '{upstream.url}' }}] }}\nrouting: {{ retries: 0 }}\n")
    seen = []
    upstream.status = 299
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    world.post(f"{gate.url}/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "x"}]}, {"traceparent": parent, "tracestate": "vendor=secret"})
    seen = [headers for _, headers, _ in upstream.requests]
    told = {name.lower(): value for name, value in seen[0].items()}
    version, trace, span, flags = told["traceparent"].split("-")
    closed = world.wait_for(lambda: entries(gate, entry="closed"), "the record", gate.process)[0]
    assert (version, trace, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01") and span not in (parent, closed["trace"]["span_id"])
    assert closed["trace"]["trace_id"] == trace and closed["trace"]["parent_span_id"] == "00f067aa0ba902b7"
    assert "tracestate" not in told


def test_a_sink_gets_every_entry(own_gate):
    sink = world.Received(status=500)
    config = PRICED + f"journal: {{ sink: {{ url: '{sink.url}/in', headers: {{ authorization: 'Bearer sink-secret' }} }} }}\n"
    gate = own_gate(config=config)
    for _ in range(3):
        chat(gate)
    world.wait_for(lambda: entries(gate, entry="event", event="sink"), "a failure that is noted", gate.process)
    gate.process.kill()
    gate.process.wait()
    sink.status = 200
    again = own_gate(config=config, folder=str(gate.folder))
    chat(again)
    got = lambda: [json.loads(line) for _, _, body in sink.requests for line in body.splitlines()]  # noqa: E731
    written = lambda: entries(again)  # noqa: E731
    world.wait_for(lambda: len({entry["seq"] for entry in got()}) >= len(written()) >= 10, "the sink", again.process)
    seqs = [entry["seq"] for entry in got()]
    assert sorted(set(seqs)) == list(range(1, max(seqs) + 1))
    path, headers, _ = sink.requests[0]
    assert path == "/in" and headers["authorization"] == "Bearer sink-secret" and headers["x-tollgate-instance"] == chain(again).name
    assert again.stop() == 0
    third = own_gate(config=config, folder=str(gate.folder))
    chat(third)
    world.wait_for(lambda: max(e["seq"] for e in got()) >= entries(third)[-1]["seq"], "the sink goes on", third.process)
    assert "sink-secret" not in world.journal(third.folder / "data") + third.log.read_text()


def test_heads_are_published(own_gate, tmp_path):
    port = world.free_port()
    store = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        world.wait_for(lambda: world.get(f"{url}/moto-api/")[0], "moto", store, 40)
        import boto3

        s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="AKID", aws_secret_access_key="secret-key")
        s3.create_bucket(Bucket="heads")
        posted = world.Received()
        config = PRICED + f"""
journal:
  head_seconds: 1
  publish:
    - {{ file: {tmp_path}/heads.jsonl }}
    - {{ url: "{posted.url}/heads" }}
    - {{ url: "{url}/heads/tollgate", s3: {{ region: us-east-1, access_key_id: AKID, secret_access_key: secret-key }} }}
"""
        gate = own_gate(config=config)
        chat(gate)
        listed = lambda: s3.list_objects_v2(Bucket="heads").get("Contents", [])  # noqa: E731
        world.wait_for(lambda: len(posted.requests) > 1 and len(listed()) > 1, "heads", gate.process, 30)
        assert gate.stop() == 0
        last = max(listed(), key=lambda found: found["Key"])
        assert last["Key"].startswith(f"tollgate/{chain(gate).name}/")
        (tmp_path / "stored").write_bytes(s3.get_object(Bucket="heads", Key=last["Key"])["Body"].read())
        (tmp_path / "posted").write_bytes(posted.requests[-1][2])
        for head in ["stored", "posted", "heads.jsonl"]:
            assert "ok" in world.tollgate("journal", "verify", "--data-dir", gate.folder / "data", "--head", tmp_path / head)
    finally:
        store.kill()
        store.wait()


def test_the_tail_shows_calls_as_they_happen(own_gate):
    gate = own_gate(config=PRICED)
    tail = subprocess.Popen([world.binary(), "tail", "--filter", "entry=closed", "--url", gate.url], stdout=subprocess.PIPE, text=True)
    seen = threading.Event()

    def keep_calling():
        while not seen.wait(0.05):
            chat(gate)

    calling = threading.Thread(target=keep_calling)
    calling.start()
    try:
        line = tail.stdout.readline()
        seen.set()
        calling.join()
        assert re.search(r"\d\d:\d\d:\d\d\.\d+ +ok +[0-9a-f-]{36}  sim  \d+/\d+ tokens  [0-9.]+ USD", line), line
        # A gate that stops does not wait for those who only watch.
        assert gate.stop() == 0
        assert tail.wait(timeout=10) in (0, 1)
    finally:
        seen.set()
        tail.kill()
        tail.wait()


def test_commands_say_what_is_missing(own_gate, tmp_path):
    gate = own_gate(config=PRICED + "master_key: sk-1234\n")
    assert "TOLLGATE_KEY" in world.tollgate("calls", gate=gate, status=1)
    # A database for the gate in the environment is no argument of this command.
    assert world.tollgate("calls", gate=gate, env={"TOLLGATE_KEY": "sk-1234", "DATABASE_URL": "postgres://nowhere/x"}) == "no calls\n"
    assert "there is no trace or call" in world.tollgate("trace", "nothing", gate=gate, env={"TOLLGATE_KEY": "sk-1234"}, status=1)
    assert "write 1h" in world.tollgate("calls", "--since", "soonish", gate=gate, status=1)
    assert "known are" in world.tollgate("tail", "--filter", "colour=red", gate=gate, status=1)
    assert "no gate answers" in world.tollgate("calls", "--url", "http://127.0.0.1:1", status=1)
    assert "holds no journal" in world.tollgate("journal", "verify", "--data-dir", tmp_path, status=1)
    assert "holds no journal" in world.tollgate("calls", "--data-dir", tmp_path, status=1)
