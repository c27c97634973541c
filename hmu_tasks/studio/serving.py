"""Running demo and review on this machine."""

import sys
from collections.abc import Sequence

import uvicorn

from hmu_tasks.runtime.ports import require_free
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
    require_free(HOST, port)
    app = demo_app(studio, known, concept=concept, review=review)
    shown = f"Demo: http://{HOST}:{port}/" if review is None else f"Review: http://{HOST}:{port}/review"
    sys.stdout.write(f"{shown} (Ctrl-C ends it)\n")
    sys.stdout.flush()
    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False)
