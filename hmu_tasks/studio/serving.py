"""Running demo and review on this machine."""

import socket
import sys
from collections.abc import Sequence

import uvicorn

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.studio.motions import Studio
from hmu_tasks.studio.review import Review
from hmu_tasks.studio.server import HOST, demo_app
from hmu_tasks.studio.sources import ModelSource


def serve(
    studio: Studio,
    known: Sequence[ModelSource],
    *,
    concept: str,
    port: int,
    review: Review | None = None,
) -> None:
    """Serve the demo, and the review if there is one, on 127.0.0.1 until Ctrl-C.

    Raises HmuError where the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise HmuError(
                f"port {port} of {HOST} is taken ({error.strerror}); choose another one"
            ) from error
    app = demo_app(studio, known, concept=concept, review=review)
    shown = f"Demo: http://{HOST}:{port}/" if review is None else f"Review: http://{HOST}:{port}/review"
    sys.stdout.write(f"{shown} (Ctrl-C ends it)\n")
    sys.stdout.flush()
    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False)
