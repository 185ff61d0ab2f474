"""Servers that the gate keeps things in, each a private one on a free port, which can be stopped and started."""

import contextlib
import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import world


class Postgres:
    """A PostgreSQL server of our own, which can be stopped and started."""

    def __init__(self):
        self.folder, self.port, self.process = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-pg-")), world.free_port(), None
        self.url = f"postgres://tollgate@127.0.0.1:{self.port}/postgres"
        # PostgreSQL refuses root, and its user must come in.
        self.user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
        if self.user:
            os.chown(self.folder, 65534, 65534)
        command = [*self.user, self.program("initdb"), "--auth=trust", "--username=tollgate", "--no-sync", "--encoding=UTF8", "--locale=C", "-D", self.folder / "data"]
        subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, check=True)

    @staticmethod
    def program(name: str) -> str:
        """Where it is: on the path, or where Debian puts it."""
        found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
        if not found:
            raise RuntimeError(f"{name} is missing: apt-get install postgresql")
        return found

    def start(self):
        """Starts it, and waits until it answers."""
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-p", str(self.port)]
        command = [*self.user, self.program("postgres"), "-D", self.folder / "data", *options]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                # After a kill it does not start before the processes of the one before have noticed.
                self.process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise RuntimeError("postgres did not start")

    def database(self) -> str:
        """The address of a database of its own, which is empty."""
        name = f"own{time.monotonic_ns()}"
        subprocess.run([self.program("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "tollgate", name], check=True)
        return self.url.replace("/postgres", f"/{name}")

    def stop(self, how: signal.Signals):
        """Stops it so. SIGINT is its fast shutdown, SIGQUIT its immediate one."""
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self.process = None

    def remove(self):
        """Stops it for good."""
        if self.process:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)


class Redis:
    """A Valkey or Redis server of our own. It writes what it is told to its disk before it answers, unless it is to forget."""

    def __init__(self, forgets: bool = False):
        self.folder, self.port, self.process = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-redis-")), world.free_port(), None
        self.url = f"redis://127.0.0.1:{self.port}/"
        self.options = ["--appendonly", "no"] if forgets else ["--appendonly", "yes", "--appendfsync", "always"]

    def start(self):
        """Starts it, and waits until it answers."""
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if not program:
            raise RuntimeError("redis-server is missing: apt-get install redis-server")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder), *self.options]
        self.process = subprocess.Popen([program, *options], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError("redis did not start")

    def stop(self, how: signal.Signals = signal.SIGKILL):
        """Stops it so."""
        self.process.send_signal(how)
        self.process.wait(timeout=30)
        self.process = None

    def remove(self):
        """Stops it for good."""
        if self.process:
            self.stop()
        shutil.rmtree(self.folder)
