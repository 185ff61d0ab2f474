"""One gate and one mock for all tests that do not need their own, and servers that a module's tests share."""

import identity_world
import mcp_world
import pytest
import servers
import world


@pytest.fixture(scope="session")
def aimock():
    mock = world.Aimock()
    yield mock
    mock.stop()


@pytest.fixture(scope="session")
def gate(aimock):
    gate = world.Gate(config=world.MODELS, env={"AIMOCK": aimock.url})
    yield gate
    assert gate.stop() == 0


@pytest.fixture(scope="module")
def postgres():
    server = servers.Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def issuer():
    issuer = identity_world.Issuer()
    yield issuer
    issuer.stop()


@pytest.fixture(scope="module")
def fixture():
    fixture = mcp_world.Fixture()
    yield fixture
    fixture.stop()


@pytest.fixture
def own_gate():
    """Makes gates of a test's own and stops them."""
    made = []

    def make(*arguments, **options):
        made.append(world.Gate(*arguments, **options))
        return made[-1]

    yield make
    for gate in made:
        if gate.process.poll() is None:
            gate.process.kill()
            gate.process.wait()
