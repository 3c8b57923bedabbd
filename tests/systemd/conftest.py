"""One container with systemd for all tests, and Twinhull installed in it by the quickstart."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

import pytest
from twinhull_installer.debian.tree import CLIENT, SERVER

from .container import QUICKSTART, Container, container
from .packages import Packages, Workshop

INSTALL_SECONDS = 1500.0
UP = ("--small", "--headless", "--yes")


def say(sentence: str) -> None:
    """Progress past pytest's capture: making the container takes minutes the first time."""
    print(sentence, file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def started() -> Iterator[Container]:
    """The container, booted."""
    with container(say) as booted:
        yield booted


@pytest.fixture(scope="session")
def before(started: Container) -> set[str]:
    """What there is of Twinhull before: the libraries that a machine without a network needs."""
    return started.traces()


@pytest.fixture(scope="session")
def installed(started: Container, before: set[str]) -> Container:
    """The container with a laptop made by the quickstart, as installed once for all tests."""
    assert "/opt/twinhull/venv" not in before
    done = started.run(QUICKSTART, *UP, seconds=INSTALL_SECONDS)
    assert "Done in" in done.stdout
    return started


@pytest.fixture(scope="session")
def client_workshop(started: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Where the laptop's package is packed."""
    workshop = Workshop(CLIENT, tmp_path_factory.mktemp("client"), started)
    yield workshop
    shutil.rmtree(workshop.root)


@pytest.fixture(scope="session")
def packages(client_workshop: Workshop) -> Packages:
    """Two versions of the laptop's package."""
    return client_workshop.pack_both()


@pytest.fixture(scope="session")
def server(started: Container, tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Two versions of the fleet server's package."""
    workshop = Workshop(SERVER, tmp_path_factory.mktemp("server"), started)
    made = workshop.pack_both()
    shutil.rmtree(workshop.root)
    return made
