"""A port that is taken is told before anything is loaded for it."""

import socket

import pytest

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.ports import require_free


def test_a_taken_port_is_named_and_a_free_one_passes() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with pytest.raises(HmuError, match=rf"port {port} of 127\.0\.0\.1 cannot be used \(.*in use"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)
