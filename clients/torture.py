"""Kills the gate, fills its disk and takes its database away, again and again, and counts what is lost: nothing may be.

What clients saw of each call is held against what the journal and the index say of it afterwards.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import datetime
import glob
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import servers
import world

# What one token costs, in nano-dollars: the prices below.
INPUT, OUTPUT = 1_000, 2_000

# Calls that fail have a model of their own: its deployment may come to rest.
CONFIG = """
models:
  sim: [{ provider: simulator, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }]
  frail: [{ provider: simulator, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }]
routing: { retries: 0 }
"""

CAPTURES = ["{ bodies: none }", "{ bodies: full }", "{ bodies: full, inline_bytes: 262144 }", "{ bodies: redacted }"]

# Steps of the gate between which a kill may do harm, by the name of the file that shows that the step was made: a
# segment is begun, is stated in the manifest, is being compressed, is compressed; a head is being signed.
STEPS = [".jsonl", "manifest.jsonl", ".zst.new", ".jsonl.zst", "head.new"]


@dataclasses.dataclass
class Seen:
    """What a client saw of one call."""

    kind: str
    call_id: str = ""
    status: int = 0
    # The answer came up to its very last byte.
    whole: bool = False
    # The stream ended with an error event.
    broke_off: bool = False
    fault: str = ""
    usage: tuple[int, int] | None = None
    cost: int | None = None
    began: float = 0.0
    ended: float = 0.0


@dataclasses.dataclass
class Report:
    """What was done, and what was wrong."""

    rounds: int = 0
    kills: int = 0
    calls: int = 0
    whole: int = 0
    unknown: int = 0
    lost: int = 0
    double: int = 0
    invalid: int = 0
    violations: list[str] = dataclasses.field(default_factory=list)

    def wrong(self, what: str, *entries: dict):
        """Something that must not be, and the entries that show it."""
        self.violations.append("\n    ".join([what, *(json.dumps(entry)[:1000] for entry in entries)]))

    def __str__(self):
        chain = "valid" if self.invalid == 0 else f"INVALID {self.invalid} times"
        numbers = f"rounds {self.rounds}, kills {self.kills}, calls {self.calls}, fully received {self.whole}, closed as unknown {self.unknown}"
        return f"{numbers}, lost {self.lost}, double {self.double}, chain {chain}, violations {len(self.violations)}"


class Client(threading.Thread):
    """Makes one call after the other on one connection, as long as that lives."""

    def __init__(self, port: int, seed: int, kinds: dict[str, int], seen: list[Seen], report: Report, over: threading.Event):
        super().__init__(daemon=True)
        self.port, self.dice, self.kinds, self.seen, self.report, self.over = port, random.Random(seed), kinds, seen, report, over
        self.connection: http.client.HTTPConnection | None = None

    def run(self):
        while not self.over.is_set():
            kind = self.dice.choices(list(self.kinds), list(self.kinds.values()))[0]
            seen = Seen(kind, began=time.monotonic())
            self.seen.append(seen)
            try:
                self.call(seen)
            except (OSError, http.client.HTTPException):
                # The gate was killed, or the client gave up.
                self.leave()
                self.over.wait(0.02)
            except Exception as error:
                self.leave()
                self.report.wrong(f"an answer cannot be read: {error!r}", dataclasses.asdict(seen))
            seen.ended = time.monotonic()
            if seen.fault == "unrecordable":
                self.over.wait(0.01)
        self.leave()

    def leave(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def body(self, kind: str) -> bytes:
        dice = self.dice
        text = " ".join(dice.choices(["gate", "toll", "road", "night", "ox"], k=dice.randint(1, 60)))
        if kind == "large":
            # Entries of several pages, so that a kill may come between two of them.
            text += "\n" + dice.randbytes(dice.randint(4_000, 20_000)).hex()
        pause = {"slow": dice.randint(1, 40), "left": 20, "steady": 60}.get(kind)
        text += f"\nsimulate: drip {pause}ms" if pause else {"failed": "\nsimulate: 500", "cut": "\nsimulate: cut", "hang": "\nsimulate: hang"}.get(kind, "")
        model = {"failed": "frail", "cut": "frail", "refused": "nobody"}.get(kind, "sim")
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        if kind in ("stream", "slow", "left", "steady", "cut"):
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return json.dumps(body).encode()

    def call(self, seen: Seen):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.connection.connect()
        self.connection.sock.settimeout(0.3 if seen.kind == "hang" else 60)
        self.connection.request("POST", "/v1/chat/completions", self.body(seen.kind), {"content-type": "application/json"})
        with self.connection.getresponse() as answer:
            seen.call_id, seen.status = answer.headers.get("x-tollgate-call-id", ""), answer.status
            if answer.length is None and not answer.chunked:
                raise http.client.HTTPException("the head was cut off")
            if answer.headers["content-type"].startswith("text/event-stream"):
                self.stream(seen, answer)
            else:
                self.json(seen, answer)

    def json(self, seen: Seen, answer: http.client.HTTPResponse):
        read = json.loads(answer.read())
        if seen.status == 200:
            headers = answer.headers
            seen.usage = (int(headers["x-tollgate-input-tokens"]), int(headers["x-tollgate-output-tokens"]))
            seen.cost = round(float(headers["x-tollgate-cost-usd"]) * 1e9)
            shown = (read["usage"]["prompt_tokens"], read["usage"]["completion_tokens"])
            assert seen.usage == shown, shown
        else:
            seen.fault = read["error"]["tollgate"]["fault"]
        seen.whole = True

    def stream(self, seen: Seen, answer: http.client.HTTPResponse):
        enough = self.dice.randint(1, 12) if seen.kind == "left" else None
        text = b""
        while piece := answer.read1(65536):
            text += piece
            if enough and text.count(b"\n\n") >= enough:
                return self.leave()
        # A body that ended before its last chunk has raised; this one is whole.
        events = [json.loads(event[6:]) for event in text.decode().split("\n\n") if event.startswith("data: {")]
        errors = [event["error"] for event in events if "error" in event]
        if errors:
            seen.broke_off, seen.fault = True, errors[0]["tollgate"]["fault"]
        elif text.endswith(b"data: [DONE]\n\n"):
            usage = events[-1]["usage"]
            seen.usage = (usage["prompt_tokens"], usage["completion_tokens"])
            seen.cost = seen.usage[0] * INPUT + seen.usage[1] * OUTPUT
        else:
            raise AssertionError(f"a stream without an end: {text[-300:]!r}")
        seen.whole = True


class Load:
    """Clients that call at once until they are stopped."""

    def __init__(self, port: int, dice: random.Random, clients: int, kinds: dict[str, int], seen: list[Seen], report: Report):
        self.over = threading.Event()
        self.clients = [Client(port, dice.getrandbits(64), kinds, seen, report, self.over) for _ in range(clients)]
        for client in self.clients:
            client.start()

    def stop(self):
        """Lets each client end its call."""
        self.over.set()
        for client in self.clients:
            client.join(timeout=90)
            assert not client.is_alive(), "a client hangs"


def tollgate(*arguments) -> subprocess.CompletedProcess:
    """Runs a command of the binary."""
    return subprocess.run([world.binary(), *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False)


def verify(data: pathlib.Path, when: str, report: Report):
    """Whether the chain is whole."""
    done = tollgate("journal", "verify", "--data-dir", data)
    if done.returncode != 0:
        report.invalid += 1
        report.wrong(f"the chain is not valid {when}: {done.stdout}{done.stderr}")


def segments(chain: pathlib.Path) -> list[pathlib.Path]:
    """The segments of a chain. Of one that was being compressed, the plain file counts, as it does for the gate."""
    files = {}
    for path in sorted([*chain.glob("[0-9]*.jsonl.zst"), *chain.glob("[0-9]*.jsonl")], key=lambda path: path.suffix == ".jsonl"):
        files[path.name.split(".")[0]] = path
    return [files[name] for name in sorted(files)]


def entries(data: pathlib.Path):
    """Every entry of the chain, in order, and whether a segment begins with it."""
    (chain,) = data.glob("journal/*")
    for path in segments(chain):
        text = path.read_bytes() if path.suffix == ".jsonl" else subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
        for number, line in enumerate(text.splitlines()):
            yield json.loads(line), number == 0


def add(totals: dict, closed: dict):
    """Adds a call to the totals, as a checkpoint has them."""
    sub = closed["principal"]["sub"]
    usage, cost = closed.get("usage") or {}, closed.get("cost_nano_usd")
    total = totals.setdefault((sub["kind"], sub["id"], closed.get("model", "") if "deployment" in closed else ""), dict.fromkeys(("calls", "faults", "input_tokens", "output_tokens", "cost_nano_usd", "unpriced_calls"), 0))
    total["calls"] += 1
    total["faults"] += closed["outcome"] != "ok"
    total["input_tokens"] += usage.get("input_tokens", 0)
    total["output_tokens"] += usage.get("output_tokens", 0)
    total["cost_nano_usd"] += cost if isinstance(cost, int) else 0
    total["unpriced_calls"] += cost == "unknown"


def check_journal(data: pathlib.Path, seen: list[Seen], report: Report) -> dict[str, dict]:
    """Holds the journal against itself and against what clients saw. Returns the last entry of each call."""
    opened, closed, totals, last, forgotten = {}, {}, {}, 0, set()
    for entry, begins in entries(data):
        kind, call = entry["entry"], entry.get("call_id", "")
        if begins and kind != "checkpoint":
            report.wrong("a segment does not begin with a checkpoint", entry)
        if entry["seq"] != last + 1:
            report.lost += 1
            report.wrong(f"entry {last + 1} is missing before", entry)
        last = entry["seq"]
        if kind == "opened":
            if call in opened or call in closed:
                report.double += 1
                report.wrong(f"{call} was opened twice, or after it was closed", opened.get(call) or closed[call], entry)
            opened[call] = entry
        elif kind == "closed":
            if call in closed:
                report.double += 1
                report.wrong(f"{call} was closed twice", closed[call], entry)
            elif call not in opened and (entry["attempts"] or entry["outcome"] == "unknown"):
                report.lost += 1
                report.wrong(f"{call} was closed and never opened", entry)
            if entry["outcome"] == "unknown":
                report.unknown += 1
                held = opened[call]["reservation"] if call in opened else {}
                if (entry["usage"], entry["cost_nano_usd"]) != (held.get("usage"), held.get("cost_nano_usd")):
                    report.wrong(f"{call} is not charged what was reserved for it", opened.get(call, {}), entry)
            closed[call] = entry
            add(totals, entry)
        elif kind == "checkpoint":
            read = {(total.pop("kind"), total.pop("id"), total.pop("model")): total for total in entry["totals"]}
            # One mistake is named once, though all that follow carry it on.
            if read != totals:
                report.wrong(f"the checkpoint {entry['seq']} has other totals than the entries before it: {totals}", entry)
                totals = read
            named, still = {one["call_id"] for one in entry["open"]}, opened.keys() - closed.keys() - forgotten
            if named != still:
                report.wrong(f"the checkpoint {entry['seq']} names {sorted(named - still)} as open and forgets {sorted(still - named)}", entry)
                forgotten |= still - named
    for call in sorted(opened.keys() - closed.keys()):
        report.lost += 1
        report.wrong(f"{call} was opened and never closed", opened[call], *[dataclasses.asdict(one) for one in seen if one.call_id == call])
    for one in seen:
        report.calls += 1
        report.whole += one.whole
        check_seen(one, opened, closed.get(one.call_id), report)
    return opened | closed


def check_seen(seen: Seen, opened: dict[str, dict], closed: dict | None, report: Report):
    """Holds what a client saw against the call's entries."""
    if not seen.call_id:
        return
    shown = dataclasses.asdict(seen)
    if seen.fault == "unrecordable":
        # It need not be there; that it has no half of a record was looked at before.
        if closed and closed["outcome"] == "ok":
            report.wrong(f"{seen.call_id} was refused as unrecordable, and is recorded as answered", shown, closed)
        return
    if closed is None:
        # A call that was opened was named before.
        if seen.call_id not in opened:
            report.lost += 1
            report.wrong(f"{seen.call_id} is not in the journal", shown)
        return
    if not seen.whole:
        return
    if seen.status == 200 and not seen.broke_off:
        usage = closed.get("usage", {})
        recorded = (closed["outcome"], closed["status"], (usage.get("input_tokens"), usage.get("output_tokens")), closed.get("cost_nano_usd"))
        if recorded != ("ok", 200, seen.usage, seen.cost):
            report.wrong(f"{seen.call_id} was fully received and is recorded otherwise", shown, closed)
    elif closed["outcome"] not in ("failed", "refused") or closed["status"] != seen.status or closed["fault"]["class"] != seen.fault:
        report.wrong(f"{seen.call_id} failed otherwise than is recorded", shown, closed)


def row_of(entry: dict) -> tuple:
    """What the index must say of a call whose last entry this is."""
    usage, cost = entry.get("usage") or {}, entry.get("cost_nano_usd")
    return (entry.get("outcome", "open"), entry.get("status", 0), usage.get("input_tokens", 0), usage.get("output_tokens", 0), cost if isinstance(cost, int) else None)


def check_rows(pages: list[list[dict]], calls: dict[str, dict], report: Report):
    """Holds the index against the journal. Pages may overlap; no page may hold a call twice."""
    rows = {}
    for page in pages:
        if len({row["call_id"] for row in page}) != len(page):
            report.double += 1
            report.wrong("a page of the index holds a call twice", *page[:2])
        rows |= {row["call_id"]: row for row in page}
    for call in sorted(calls.keys() - rows.keys())[:20]:
        report.lost += 1
        report.wrong(f"{call} is not in the index", calls[call])
    for call in sorted(rows.keys() - calls.keys())[:20]:
        report.wrong(f"{call} is in the index and not in the journal", rows[call])
    for call in rows.keys() & calls.keys():
        row = rows[call]
        if (row["outcome"], row["status"], row["input_tokens"], row["output_tokens"], row["cost_nano_usd"]) != row_of(calls[call]):
            report.wrong(f"{call} is another call in the index", row, calls[call])


def check_index(data: pathlib.Path, calls: dict[str, dict], report: Report):
    """The index as `tollgate calls` reads it."""
    pages, until = [], []
    while True:
        done = tollgate("calls", "--data-dir", data, "--json", "--limit", 1000, "--since", "7d", *until)
        if done.returncode != 0:
            return report.wrong(f"the index cannot be asked: {done.stderr}")
        page = json.loads(done.stdout)
        pages.append(page["calls"])
        if "next" not in page:
            return check_rows(pages, calls, report)
        # The calls of the page's last millisecond are asked for again: there may be more of it.
        last = datetime.datetime.fromisoformat(pages[-1][-1]["at"])
        until = ["--until", (last + datetime.timedelta(milliseconds=1)).isoformat()]


def kill_at_step(pid: int, folder: str, step: str, seconds: float):
    """Kills the process as soon as a file whose name ends so appears or changes in the folder, or when the time is over."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    modified, moved_to, created = 0x2, 0x80, 0x100
    assert libc.inotify_add_watch(watch, folder.encode(), created | moved_to | (modified if step == "manifest.jsonl" else 0)) >= 0, os.strerror(ctypes.get_errno())
    deadline = time.monotonic() + seconds
    # It does not sleep: some steps are microseconds apart.
    while time.monotonic() < deadline:
        try:
            events = os.read(watch, 4096)
        except BlockingIOError:
            continue
        at = 0
        while at < len(events):
            length = struct.unpack_from("iIII", events, at)[3]
            name = events[at + 16 : at + 16 + length].rstrip(b"\0").decode()
            at += 16 + length
            if name.endswith(step) and (step == "manifest.jsonl" or name != "manifest.jsonl"):
                return os.kill(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


def start_and_kill(folder: pathlib.Path, seconds: float):
    """Starts a gate and kills it while it puts in order what the one before left."""
    command = [world.binary(), "--port", "0", "--data-dir", folder / "data", "--config", folder / "config.yaml"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.kill()
    process.wait()


def leave_begun_segment(data: pathlib.Path, dice: random.Random) -> bytes | None:
    """Leaves what a kill leaves between two steps that are so near to each other that it seldom comes there: the next
    segment is begun, and its first line is not written, or only a part of it."""
    (chain,) = data.glob("journal/*")
    last = segments(chain)[-1]
    text = last.read_bytes() if last.suffix == ".jsonl" else b""
    # Nothing is begun after a line that is not finished.
    if not text.endswith(b"\n"):
        return None
    following = json.loads(text.splitlines()[-1])["seq"] + 1
    begun = f'{{"seq":{following},"prev":"'.encode()[: dice.choice([0, 99])]
    (chain / f"{following:020}.jsonl").write_bytes(begun)
    return begun


@contextlib.contextmanager
def killed_at_the_end(gate: world.Gate):
    """No gate stays behind, whatever happens."""
    try:
        yield gate
    finally:
        if gate.process.poll() is None:
            gate.process.kill()
            gate.process.wait()


def start(folder: pathlib.Path, config: str) -> world.Gate:
    """A gate in the folder. The log of the one before is kept."""
    log = folder / "log.jsonl"
    if log.exists():
        with (folder / "logs.jsonl").open("a") as logs:
            logs.write(log.read_text())
    return world.Gate(config=config, folder=str(folder))


def final(folder: pathlib.Path, config: str, seen: list[Seen], report: Report) -> dict[str, dict]:
    """Starts once more, stops as an operator does, and checks everything."""
    with killed_at_the_end(start(folder, config)) as gate:
        if (status := gate.stop()) != 0:
            report.wrong(f"the gate stopped with status {status}")
    verify(folder / "data", "at the end", report)
    return check_journal(folder / "data", seen, report)


KINDS = {"whole": 6, "large": 3, "stream": 4, "slow": 4, "left": 3, "failed": 1, "cut": 1, "refused": 1, "hang": 1}


def kills(rounds: int, seed: int, folder: pathlib.Path, report: Report, say=print):
    """Kills the gate at random moments, and at chosen ones, under load."""
    dice, seen, data = random.Random(seed), [], folder / "data"
    config = CONFIG
    for number in range(rounds):
        sync = ["every", "interval", "off"][number % 3]
        capture = dice.choice(CAPTURES)
        step = dice.choice([None, None, *STEPS])
        seconds = dice.uniform(0.02, 0.8)
        config = f"{CONFIG}journal: {{ sync: {sync}, segment_bytes: 65536, reserve_bytes: 65536, head_seconds: 1 }}\ncapture: {capture}\n"
        say(f"kill {number + 1}: sync {sync}, capture {capture}, {f'at the next {step}' if step else f'after {seconds:.3f} s'}")
        with killed_at_the_end(start(folder, config)) as gate:
            chain = str(next(data.glob("journal/*")))
            # Its own process: threads that call would hold it up.
            killer = multiprocessing.get_context("fork").Process(target=kill_at_step, args=(gate.process.pid, chain, step, 3)) if step else None
            if killer:
                killer.start()
            load = Load(gate.port, dice, 8, KINDS, seen, report)
            if killer:
                killer.join()
            else:
                time.sleep(seconds)
                gate.process.kill()
            gate.process.wait()
            load.stop()
        report.rounds += 1
        report.kills += 1
        if number % 10 == 9:
            verify(data, f"after kill {number + 1}", report)
        if number % 6 == 5:
            say(f"  a segment was begun: {leave_begun_segment(data, dice)!r}")
        if dice.random() < 0.2:
            start_and_kill(folder, dice.uniform(0, 0.15))
            report.kills += 1
    calls = final(folder, config, seen, report)
    check_index(data, calls, report)


@contextlib.contextmanager
def small_disk(at: pathlib.Path, size: str):
    """A file system of this size."""
    at.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", at], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"a small disk is needed and cannot be mounted; run this as root, where mounting is allowed: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", at], check=True)


@contextlib.contextmanager
def kept(data: pathlib.Path, to: pathlib.Path, wrong):
    """Copies what is on the small disk, which goes, where something was wrong."""
    try:
        yield
    finally:
        if sys.exc_info()[0] or wrong():
            shutil.copytree(data, to, ignore=shutil.ignore_patterns("ballast", "neighbour", "reserve"))


def wait_until(ready, what: str, seconds: float = 30):
    """Waits until `ready` returns something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.02)
    raise RuntimeError(f"{what} did not happen within {seconds} s")


# What happens between a full disk and room on it.
FULL = ["nothing", "a kill", "a neighbour"]


def full_disk(seed: int, folder: pathlib.Path, report: Report, between: str, say=print):
    """Fills the disk under load and gives room again. In between the gate is killed, or somebody else takes each page
    that becomes free, what was held back included; or neither."""
    dice, seen, data, killed = random.Random(seed), [], folder / "data", between == "a kill"
    # The reserve is several times what the clients below can have open at once.
    capture, reserve, kinds = dice.choice(CAPTURES), 1048576, {"whole": 3, "large": 2, "stream": 3, "steady": 2}
    if between == "a neighbour":
        # A segment is sealed with every other call, so that some are while there is no room.
        capture, reserve, kinds = "{ bodies: full, inline_bytes: 262144 }", 65536, {"large": 1}
    journal = f"sync: {dice.choice(['every', 'interval', 'off'])}, segment_bytes: 65536, reserve_bytes: {reserve}, head_seconds: 1"
    config = f"{CONFIG}journal: {{ {journal} }}\ncapture: {capture}\n"
    say(f"full disk, and {between}: {journal}, capture {capture}")
    known = len(report.violations)
    with small_disk(data, "18m"), kept(data, folder / "data-of-the-disk", lambda: len(report.violations) > known):
        # What is left is filled by the gate within seconds; what is given back is more than it needs to catch up.
        ballast = data / "ballast"
        ballast.write_bytes(bytes(33 << 19))
        with killed_at_the_end(start(folder, config)) as gate:
            load = Load(gate.port, dice, 6, kinds, seen, report)
            if between == "a neighbour":
                time.sleep(dice.uniform(0, 1))
                take_each_page(data / "neighbour", 4)
            wait_until(lambda: any(one.fault == "unrecordable" for one in list(seen)), "a call that cannot be recorded", 60)
            wait_until(lambda: world.get(f"{gate.url}/readyz")[0] == 503, "that the gate says it is not ready", 30)
            time.sleep(dice.uniform(0, 0.5))
            if killed:
                gate.process.kill()
                gate.process.wait()
                report.kills += 1
            load.stop()
            if not killed:
                time.sleep(dice.choice([0, 2]))
                ballast.unlink()
                (data / "neighbour").unlink(missing_ok=True)
                works_again(gate, dice, seen, report)
                if gate.stop() != 0:
                    report.wrong("the gate did not stop as it should after the disk was full")
        if killed:
            restart_on_a_full_disk(folder, config, ballast, dice, seen, report)
        report.rounds += 1
        calls = final(folder, config, seen, report)
        check_index(data, calls, report)
        if between == "nothing":
            check_full(data, seen, calls, report)
        events = [entry["event"] for entry, _ in entries(data) if entry["entry"] == "event"]
        # A start that finds room says nothing more; and what a neighbour took cannot be written on.
        for event in {"a kill": ["journal_full"], "a neighbour": ["recordable"]}.get(between, ["journal_full", "recordable"]):
            if event not in events:
                report.wrong(f"there is no event {event} but {events}")
        say(f"  {len(seen)} calls, {sum(one.fault == 'unrecordable' for one in seen)} of them refused; events {events}")


def take_each_page(path: pathlib.Path, seconds: float):
    """Writes whenever there is room for a page: writes of others end within a line."""
    deadline = time.monotonic() + seconds
    with path.open("wb", buffering=0) as file:
        while time.monotonic() < deadline:
            try:
                file.write(bytes(4096))
            except OSError:
                time.sleep(0.0002)


def check_full(data: pathlib.Path, seen: list[Seen], calls: dict[str, dict], report: Report):
    """Holds what clients saw of a full disk against its rules, where no kill came between."""
    for one in seen:
        # What was let in had its room held back.
        if one.status == 200 and (not one.whole or one.broke_off):
            report.wrong(f"{one.call_id} was under way when the disk became full, and did not end", dataclasses.asdict(one), calls.get(one.call_id, {}))
        if one.fault == "unrecordable" and calls.get(one.call_id, {}).get("outcome") == "unknown":
            report.wrong(f"{one.call_id} was opened, and there was no room to close it", dataclasses.asdict(one), calls[one.call_id])
    events = [(entry["event"], datetime.datetime.fromisoformat(entry["at"][:26] + "Z").timestamp()) for entry, _ in entries(data) if entry["entry"] == "event"]
    # From when to when it was full.
    full = [(at, next((then for what, then in events[number:] if what == "recordable"), time.time())) for number, (event, at) in enumerate(events) if event == "journal_full"]
    ready = []
    for one in seen:
        if one.fault == "unrecordable":
            began, ended = (time.time() - time.monotonic() + moment for moment in (one.began, one.ended))
            if not any(began <= end + 0.05 and ended >= begin - 0.05 for begin, end in full):
                ready.append(one)
    if ready:
        report.wrong(f"{len(ready)} calls were refused as unrecordable while the journal was not full, and /readyz said that it is ready", dataclasses.asdict(ready[0]))


def works_again(gate: world.Gate, dice: random.Random, seen: list[Seen], report: Report):
    """There is room: the gate must be ready by itself, and calls succeed."""
    wait_until(lambda: world.get(f"{gate.url}/readyz")[0] == 200, "that the gate is ready again")
    again: list[Seen] = []
    load = Load(gate.port, dice, 2, {"whole": 1, "stream": 1}, again, report)
    time.sleep(0.1)
    load.stop()
    seen += again
    for one in again:
        if not (one.whole and one.status == 200):
            report.wrong("a call failed though there is room again", dataclasses.asdict(one))


def restart_on_a_full_disk(folder: pathlib.Path, config: str, ballast: pathlib.Path, dice: random.Random, seen: list[Seen], report: Report):
    """It starts, and serves as soon as there is room; or it says why it cannot."""
    try:
        gate = start(folder, config)
    except RuntimeError as error:
        if "No space left" not in str(error):
            report.wrong(f"a gate on a full disk does not say why it does not start: {error}")
        ballast.unlink()
        gate = start(folder, config)
    ballast.unlink(missing_ok=True)
    with killed_at_the_end(gate):
        works_again(gate, dice, seen, report)
        if gate.stop() != 0:
            report.wrong("the gate did not stop as it should after a start on a full disk")


def database(outages: int, seed: int, folder: pathlib.Path, report: Report, say=print):
    """Takes the index's database away under load: it is for questions only, and no call may notice."""
    dice, seen, data = random.Random(seed), [], folder / "data"
    server = servers.Postgres()
    config = f"{CONFIG}journal: {{ segment_bytes: 65536, head_seconds: 1 }}\ndatabase_url: {server.url}\n"
    try:
        # The gate starts while there is no database.
        with killed_at_the_end(start(folder, config)) as gate:
            load = Load(gate.port, dice, 4, {"whole": 2, "stream": 2, "slow": 1}, seen, report)
            for outage in range(outages):
                time.sleep(dice.uniform(0.2, 0.8))
                server.start()
                up = dice.uniform(0.5, 2.5)
                time.sleep(up)
                how = dice.choice([signal.SIGKILL, signal.SIGINT, signal.SIGQUIT])
                say(f"outage {outage + 1}: {how.name} after {up:.3f} s")
                server.stop(how)
                report.rounds += 1
            time.sleep(0.5)
            load.stop()
            server.start()
            for one in seen:
                if not (one.whole and one.status == 200 and not one.broke_off):
                    report.wrong("a call failed while the index was away", dataclasses.asdict(one))
            calls = check_journal(data, seen, report)
            deadline = time.monotonic() + 90
            # All calls, and the ends of all that have one: an end may be loaded after its beginning.
            ended = sum(entry["entry"] == "closed" for entry in calls.values())
            while time.monotonic() < deadline:
                rows = sum(pages := pages_of(gate), [])
                if len(rows) >= len(calls) and sum(row["outcome"] != "open" for row in rows) >= ended:
                    break
                time.sleep(0.2)
            check_rows(pages, calls, report)
            if gate.stop() != 0:
                report.wrong("the gate did not stop as it should")
        verify(data, "after the outages", report)
    finally:
        server.remove()


def pages_of(gate: world.Gate) -> list[list[dict]]:
    """All calls, as the gate's API pages them; nothing while the index cannot be asked."""
    pages, before = [], ""
    while True:
        status, body = world.get(f"{gate.url}/api/v1/calls?limit=1000{before}")
        if status != 200:
            return []
        page = json.loads(body)
        pages.append(page["calls"])
        if "next" not in page:
            return pages
        before = f"&before={page['next']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="kills under load; default 200")
    parser.add_argument("--disks", type=int, default=12, help="full disks; default 12")
    parser.add_argument("--outages", type=int, default=10, help="outages of the database; default 10")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what decides the moments and the calls; default the time")
    parser.add_argument("--folder", type=pathlib.Path, help="where it happens; default a new folder, which stays when something was wrong")
    arguments = parser.parse_args()
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="tollgate-torture-"))
    print(f"seed {arguments.seed}, folder {folder}", flush=True)
    report = Report()

    def say(what: str):
        print(what, flush=True)

    def part(name: str, run, *rest):
        (folder / name).mkdir(parents=True)
        known = len(report.violations)
        try:
            run(*rest)
        except Exception as error:
            # What follows says more about the gate all the same.
            report.wrong(f"{name}: {type(error).__name__}: {error}")
        for violation in report.violations[known:]:
            say(f"WRONG ({name}): {violation}")

    if arguments.rounds:
        part("kills", kills, arguments.rounds, arguments.seed, folder / "kills", report, say)
    for number in range(arguments.disks):
        name = f"disk-{number + 1}"
        part(name, full_disk, arguments.seed + number, folder / name, report, FULL[number % len(FULL)], say)
    if arguments.outages:
        part("database", database, arguments.outages, arguments.seed, folder / "database", report, say)
    say(str(report))
    if not report.violations and not arguments.folder:
        shutil.rmtree(folder)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
