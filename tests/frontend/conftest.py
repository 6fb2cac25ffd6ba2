"""What the tests of the frontends share."""

import socket

import pytest


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look-up elsewhere fails, as on a machine without a network."""

    def refuse(*args: object, **_: object) -> None:
        raise OSError(f"no network: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
