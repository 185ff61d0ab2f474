"""The image and the compose file. The Dockerfile is built whole, by an engine of the test's own: only Cargo and the
system around it are stand-ins, because no image can be fetched where the tests run. `-p` is replaced by the host's
network, which that engine needs no rights over the host's firewall for."""

import io
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile

import pytest
import world
import yaml
from test_wire import post_text

DEPLOY = world.ROOT / "deploy"
KEY = {"authorization": "Bearer sk-1234"}

# What the build does must be what the first stage says; the binary is the one under test.
CARGO = """#!/bin/sh
set -eu
[ "$*" = "build --release --locked -p tollgate" ]
for file in Cargo.toml Cargo.lock crates/tollgate/src/main.rs xtask/Cargo.toml bench/Cargo.toml LICENSE THIRD_PARTY.md; do
  [ -f "$file" ] || { echo "$file is not sent to the build"; exit 1; }
done
for file in .git .env deploy/.env deploy/config.yaml clients docs; do
  [ ! -e "$file" ] || { echo "$file is sent to the build"; exit 1; }
done
mkdir -p target/release
cp /tollgate target/release/tollgate
"""
TOOLS = ["sh", "bash", "ldd", "sed", "mkdir", "cp", "chmod", "dirname"]


def absent() -> str | None:
    """Why no engine can be started here."""
    for tool in ["docker", "dockerd"]:
        if not shutil.which(tool):
            return f"{tool} is not installed"
    return None if os.geteuid() == 0 else "an engine of the test's own needs root"


class Engine:
    """A Docker engine in a folder of its own, without a network of its own."""

    def __init__(self):
        if why := absent():
            if os.environ.get("REQUIRE_SHARED"):
                pytest.fail(why)
            pytest.skip(why)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tg-", dir="/tmp"))
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        # No BuildKit: it is a plugin that need not be there.
        self.env = {**clean, "DOCKER_HOST": f"unix://{self.folder}/docker.sock", "DOCKER_CONFIG": str(self.folder / "client"), "DOCKER_BUILDKIT": "0"}
        roots = ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "-p", self.folder / "docker.pid"]
        command = ["dockerd", "-H", self.env["DOCKER_HOST"], *roots, "--iptables=false", "--ip6tables=false", "--bridge=none"]
        self.log = self.folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=clean)
        try:
            world.wait_for(lambda: self.try_("info").returncode == 0, "dockerd", self.process)
        except RuntimeError as error:
            end = self.log.read_text()[-2000:]
            self.stop()
            raise RuntimeError(f"{error}:\n{end}") from error

    def try_(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run(["docker", *map(str, arguments)], env=self.env, capture_output=True, text=True, timeout=120, check=False)

    def do(self, *arguments) -> str:
        done = self.try_(*arguments)
        assert done.returncode == 0, f"docker {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def inspect(self, name: str) -> dict:
        return json.loads(self.do("inspect", name))[0]

    def stop(self):
        if self.process.poll() is None:
            for container in self.try_("ps", "-aq").stdout.split():
                self.try_("rm", "-fv", container)
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def stand_in(folder: pathlib.Path):
    """What the first stage needs of the Rust image: a shell, a few tools, certificates, and a Cargo that has built."""
    for tool in TOOLS:
        path = shutil.which(tool)
        files = {path: f"bin/{tool}"}
        for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout):
            files[library] = library[1:]
        for source, target in files.items():
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / target)
    for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", world.binary()], capture_output=True, text=True, check=True).stdout):
        (folder / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, folder / library[1:])
    (folder / "etc/ssl/certs").mkdir(parents=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "etc/ssl/certs")
    (folder / "bin/cargo").write_text(CARGO)
    (folder / "bin/cargo").chmod(0o755)
    shutil.copy(world.binary(), folder / "tollgate")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\nENV PATH=/bin\n")


@pytest.fixture(scope="module")
def engine():
    engine = Engine()
    try:
        with tempfile.TemporaryDirectory(prefix="tollgate-rust-") as folder:
            stand_in(pathlib.Path(folder))
            engine.do("build", "-t", "stand-in:rust", folder)
        built = ["--network", "none", "--build-arg", "RUST_IMAGE=stand-in:rust", "--target", "runtime"]
        engine.do("build", *built, "-f", DEPLOY / "Dockerfile", "-t", "tollgate", world.ROOT)
        yield engine
    finally:
        engine.stop()


class Container:
    """A running container."""

    def __init__(self, engine: Engine, name: str, port: int):
        self.engine, self.name, self.url = engine, name, f"http://127.0.0.1:{port}"
        ready = lambda: world.get(f"{self.url}/readyz")[0] == 200 or self.state()["Status"] == "exited"  # noqa: E731
        world.wait_for(ready, name, engine.process)
        assert self.state()["Status"] == "running", self.engine.try_("logs", name).stderr

    def state(self) -> dict:
        return self.engine.inspect(self.name)["State"]

    def process(self, member: str) -> list[str]:
        """A member of the gate's status, as the kernel has it."""
        status = pathlib.Path(f"/proc/{self.state()['Pid']}/status").read_text()
        return re.search(rf"^{member}:\s*(.*)$", status, re.M)[1].split()

    def stop(self) -> int:
        self.engine.do("stop", "-t", "20", self.name)
        return self.state()["ExitCode"]


@pytest.fixture
def start(engine):
    """Starts containers and removes them. The port stands after the image's own arguments."""
    names = []

    def start(*options, arguments=("--config", "/app/config.yaml"), port=None) -> Container:
        port = port or world.free_port()
        names.append(f"gate-{len(names)}")
        engine.do("run", "-d", "--name", names[-1], "--network", "host", *options, "tollgate", *arguments, "--port", port)
        return Container(engine, names[-1], port)

    yield start
    for name in names:
        engine.try_("rm", "-fv", name)


def chat(gate: Container, model: str, key=KEY) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    status, _, answer = world.post(f"{gate.url}/v1/chat/completions", body, key)
    assert status == 200, answer
    return json.loads(answer)["choices"][0]["message"]["content"]


@pytest.fixture
def as_written(engine, aimock):
    """Runs a documented `docker run`: `-p` becomes the host's network, and the providers' addresses are the mock's. Its
    name is one that only the container's /etc/hosts knows: names are found although nothing is around the binary."""
    named = []

    def run(command: str, folder: pathlib.Path, env: dict[str, str]) -> Container:
        named.append(re.search(r"--name (\S+)", command)[1])
        port = world.free_port()
        mock = aimock.url.replace("127.0.0.1", "providers.test")
        addresses = [f"OPENAI_BASE_URL={mock}/v1", f"ANTHROPIC_BASE_URL={mock}", f"GOOGLE_GEMINI_BASE_URL={mock}"]
        ours = " ".join(["-d --network host --add-host providers.test:127.0.0.1", *(f"-e {address}" for address in addresses)])
        command, count = re.subn(r"-p (127\.0\.0\.1:)?4000:4000", ours, command)
        assert count == 1
        env = {**engine.env, **env, **{f"{name}_API_KEY": "mock" for name in ["OPENAI", "ANTHROPIC", "GEMINI"]}}
        done = subprocess.run(["bash", "-c", f"{command} --port {port}"], cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return Container(engine, named[-1], port)

    yield run
    for name in named:
        engine.try_("rm", "-fv", name)


def test_the_posts_file_and_docker_run(as_written, tmp_path):
    text = post_text()
    config = text.split("Create litellm_config.yaml:\n", 1)[1].split("\nA few things", 1)[0]
    (tmp_path / "litellm_config.yaml").write_text(config)
    command = re.search(r"^docker run --name litellm-proxy .*?--config /app/config\.yaml$", text, re.M | re.S)[0]
    theirs = "docker.litellm.ai/berriai/litellm:main-stable"
    assert theirs in command
    gate = as_written(command.replace(theirs, "tollgate"), tmp_path, {})
    for model in ["gpt-4o", "claude", "gemini"]:
        assert "Hello! How can I help you" in chat(gate, model, {"authorization": "Bearer sk-xxxx"})
    assert world.get(f"{gate.url}/v1/models")[0] == 401
    assert gate.process("Uid") == ["65532"] * 4 and gate.process("Gid") == ["65532"] * 4
    assert gate.stop() == 0


def test_the_pages_own_docker_run(as_written):
    page = (world.ROOT / "docs" / "containers.md").read_text()
    command = re.search(r"^docker run .*?--config /app/config\.yaml$", page, re.M | re.S)[0]
    gate = as_written(command, world.ROOT, {})
    for model in ["gpt-4o", "claude", "gemini"]:
        assert "Hello! How can I help you" in chat(gate, model, {"authorization": "Bearer sk-change-me"})
    picture = {"model": "dall-e-3", "prompt": "a red gate", "size": "1024x1024"}
    status, _, body = world.post(f"{gate.url}/v1/images/generations", picture, {"authorization": "Bearer sk-change-me"})
    assert status == 200 and json.loads(body)["data"][0]["b64_json"], body
    assert gate.stop() == 0


def test_without_a_master_key_it_says_why_it_does_not_start(engine, tmp_path):
    (tmp_path / "config.yaml").write_text("models: { sim: [{ provider: simulator }] }\nlisten: 127.0.0.1:0\n")
    file = ["-v", f"{tmp_path}/config.yaml:/app/config.yaml"]
    for options, arguments in [(file, []), ([], ["--model", "simulator/demo"])]:
        done = engine.try_("run", "--rm", "--network", "host", *options, "tollgate", *arguments)
        assert done.returncode == 1 and "0.0.0.0:" in done.stderr and "no master key is configured" in done.stderr, done.stderr
    done = engine.try_("run", "--rm", "--network", "host", "tollgate")
    assert done.returncode == 1 and "/app/config.yaml cannot be read" in done.stderr, done.stderr


def test_the_layers_hold_what_is_needed_and_nothing_else(engine):
    saved = subprocess.run(["docker", "save", "tollgate"], env=engine.env, capture_output=True, check=True).stdout
    found = {}
    with tarfile.open(fileobj=io.BytesIO(saved)) as image:
        (manifest,) = json.load(image.extractfile("manifest.json"))
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(image.extractfile(layer).read())) as files:
                found |= {f"/{member.name}": member for member in files}
    linked = subprocess.run(["ldd", world.binary()], capture_output=True, text=True, check=True).stdout
    libraries = set(re.findall(r"(/\S+) \(0x", linked))
    assert any("libc.so" in path for path in libraries)
    needed = {"/tollgate", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt", *libraries}
    files = {path for path, member in found.items() if not member.isdir()}
    assert {path for path in files if not path.startswith("/licenses/")} == needed
    assert {"/licenses/LICENSE", "/licenses/THIRD_PARTY.md"} <= files
    folders = {str(parent) for path in files for parent in pathlib.PurePath(path).parents} - {"/"}
    assert {path for path, member in found.items() if member.isdir()} - folders == {"/data", "/app"}
    assert all(m.uid == m.gid == 0 and not m.mode & (stat.S_IWOTH | stat.S_ISUID) for path, m in found.items() if path != "/data")
    assert found["/data"].uid == found["/data"].gid == 65532
    for shell in ["sh", "/bin/sh", "/bin/bash"]:
        done = engine.try_("run", "--rm", "--network", "none", "--entrypoint", shell, "tollgate")
        assert done.returncode == 127, done.stderr


def test_what_the_image_says_of_itself(engine):
    config = engine.inspect("tollgate")["Config"]
    assert config["User"] == "65532:65532" and list(config["Volumes"]) == ["/data"] and list(config["ExposedPorts"]) == ["4000/tcp"]
    assert config["Entrypoint"] == ["/tollgate"] and config["Cmd"] == ["--config", "/app/config.yaml"]
    assert {name.split("=")[0] for name in config["Env"]} == {"PATH", "TOLLGATE_HOST", "TOLLGATE_DATA_DIR"}
    version = subprocess.run([world.binary(), "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert config["Labels"]["org.opencontainers.image.version"] == version
    assert version == re.search(r'^version = "(.*)"', (world.ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert compose()["services"]["tollgate"]["image"] == f"tollgate:{version}"
    rust = re.search(r'rust-version = "(.*)"', (world.ROOT / "Cargo.toml").read_text())[1]
    assert f"/rust:{rust}." in (DEPLOY / "Dockerfile").read_text()


def test_a_read_only_root_and_no_rights_as_compose_has_it(engine, start):
    service = compose()["services"]["tollgate"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    rights = ["--read-only", "--cap-drop", "ALL", "--security-opt", *service["security_opt"]]
    options = [*rights, "-e", "TOLLGATE_MASTER_KEY=sk-1234", "-e", "OPENAI_API_KEY=", "-v", f"{DEPLOY}/config.yaml:/app/config.yaml:ro"]
    for data in [["-v", "records:/data"], ["-v", "records:/data"], ["--tmpfs", "/data:uid=65532,gid=65532"]]:
        port = world.free_port()
        health = ["-e", f"TOLLGATE_HEALTH_URL=http://127.0.0.1:{port}/readyz", "--health-interval", "1s"]
        gate = start(*options, *data, *health, port=port)
        assert "hello" in chat(gate, "demo")
        assert gate.process("CapEff") == ["0" * 16] and gate.process("NoNewPrivs") == ["1"]
        if data[0] == "--tmpfs":
            world.wait_for(lambda gate=gate: gate.state()["Health"]["Status"] == "healthy", "its health", engine.process)
        assert gate.stop() == 0
    kept = pathlib.Path(engine.do("volume", "inspect", "-f", "{{.Mountpoint}}", "records"))
    entries = [json.loads(line) for line in world.journal(kept).splitlines()]
    assert len([entry for entry in entries if entry["entry"] == "closed" and entry["outcome"] == "ok"]) == 2


def test_upstreams_are_trusted_by_the_images_certificates(engine, start, tmp_path):
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*made, *names, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    upstream = world.Gate(config=f"models: {{ sim: [{{ provider: simulator }}] }}\ntls: {{ certificate: {tmp_path}/cert.pem, key: {tmp_path}/key.pem }}\n")
    try:
        model = f"{{ provider: openai_compatible, base_url: 'https://localhost:{upstream.port}/v1' }}"
        (tmp_path / "config.yaml").write_text(f"models: {{ sim: [{model}] }}\nrouting: {{ retries: 0 }}\nmaster_key: sk-1234\n")
        file = ["-v", f"{tmp_path}/config.yaml:/app/config.yaml"]
        stranger = start(*file)
        body = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}
        assert world.post(f"{stranger.url}/v1/chat/completions", body, KEY)[0] >= 500
        assert "UnknownIssuer" in engine.try_("logs", stranger.name).stderr
        trusting = start(*file, "-v", f"{tmp_path}/cert.pem:/etc/ssl/certs/ca-certificates.crt")
        assert "hello" in chat(trusting, "sim")
    finally:
        upstream.stop()


def test_health_is_asked_inside(engine, start):
    gate = start("-e", "TOLLGATE_MASTER_KEY=sk-1234", "-v", f"{DEPLOY}/config.yaml:/app/config.yaml:ro")
    assert engine.do("exec", gate.name, "/tollgate", "health", "--url", f"{gate.url}/readyz") == "ok"
    nobody = engine.try_("exec", gate.name, "/tollgate", "health", "--url", f"http://127.0.0.1:{world.free_port()}/readyz")
    assert nobody.returncode == 1 and "no answer" in nobody.stderr


def test_the_health_command(gate):
    def health(url: str) -> subprocess.CompletedProcess:
        return subprocess.run([world.binary(), "health", "--url", url], capture_output=True, text=True, check=False)

    assert (done := health(f"{gate.url}/readyz")).returncode == 0 and done.stdout == "ok\n"
    for url, why in {f"{gate.url}/nowhere": "404 Not Found", "https://127.0.0.1/readyz": "only http://", "http://127.0.0.1:1/": "no answer"}.items():
        assert (done := health(url)).returncode == 1 and why in done.stderr, done.stderr


def test_the_host_comes_from_the_environment(tmp_path):
    command = [world.binary(), "--model", "simulator/demo", "--port", "0", "--data-dir", tmp_path]
    done = subprocess.run(command, env={**os.environ, "TOLLGATE_HOST": "0.0.0.0"}, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "0.0.0.0:0 can be reached from other machines" in done.stderr, done.stderr


def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_compose_file_fits_together():
    file = compose()
    services = file["services"]
    assert set(services) == {"tollgate", "postgres", "open-webui"}
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+", service["image"]), f"{name}: no pinned version"
        assert set(service["networks"]) <= set(file["networks"]) and "no-new-privileges:true" in service["security_opt"]
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in file["volumes"], volume
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    build = services["tollgate"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert set(services["postgres"]["networks"]).isdisjoint(services["tollgate"]["networks"])


def test_compose_points_open_webui_at_the_gate_and_its_database():
    services = compose()["services"]
    webui, postgres = (services[name]["environment"] for name in ["open-webui", "postgres"])
    for setting in ["OPENAI_API_BASE_URL", "IMAGES_OPENAI_API_BASE_URL"]:
        assert webui[setting] == "http://tollgate:4000/v1"
    for setting in ["OPENAI_API_KEY", "IMAGES_OPENAI_API_KEY"]:
        assert webui[setting] == services["tollgate"]["environment"]["TOLLGATE_MASTER_KEY"]
    assert webui["DATABASE_URL"] == f"postgresql://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}@postgres:5432/{postgres['POSTGRES_DB']}"
    # Every setting that the post gives to Open WebUI.
    options = post_text().split("docker run --name open-webui", 1)[1].split("ghcr.io", 1)[0]
    assert set(re.findall(r"-e (\w+)=", options)) <= set(webui)
    assert webui["IMAGES_OPENAI_API_MODEL"] in {model["model_name"] for model in yaml.safe_load((DEPLOY / "config.yaml").read_text())["model_list"]}


def test_every_variable_of_compose_and_its_configuration_is_in_the_example():
    example = re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.M)
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert used == {name for name, _ in example}
    assert all(value == "" for _, value in example), "a secret in the example would be everybody's"
    given = compose()["services"]["tollgate"]["environment"]
    assert set(re.findall(r"os\.environ/(\w+)", (DEPLOY / "config.yaml").read_text())) == set(given)
