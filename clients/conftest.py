"""One gate and one mock for all tests that do not need their own."""

import pytest
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
