"""The demo: a page on this machine on which a person types a prompt and sees what each model makes of it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, Response

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.studio import files
from hmu_tasks.studio.motions import ScoredMotion, Studio
from hmu_tasks.studio.rendering import page
from hmu_tasks.studio.requests import Asked, complaint, known_file
from hmu_tasks.studio.review import Review, add_review
from hmu_tasks.studio.sources import ModelSource, defaults, named
from hmu_tasks.viewer.motion_data import body_json, panel, script_json

HOST = "127.0.0.1"
HOSTS = ["127.0.0.1", "localhost", "testserver"]
KEPT = 64  # motions that stay in memory, so that files are those that were seen
KINDS: dict[str, tuple[str, Callable[[Sequence[ScoredMotion], str], bytes]]] = {
    "gif": ("image/gif", files.gif_bytes),
    "mp4": ("video/mp4", files.mp4_bytes),
    "png": ("image/png", files.png_bytes),
    "npz": ("application/octet-stream", lambda motions, _: files.npz_bytes(motions)),
    "bvh": ("text/plain", lambda motions, _: files.bvh_bytes(motions[0])),
    "glb": ("model/gltf-binary", lambda motions, _: files.glb_bytes(motions[0])),
}
EXAMPLES = (
    "a man kicks with his right leg, then bows",
    "a person punches twice with the left fist",
    "someone walks forward and waves with both hands",
    "a woman slashes down with her right hand",
    "a person kicks a ball to a friend",
    "a man jumps up and turns around",
)
SAME_SITE = ("same-origin", "none")  # what a browser says of requests of this page, and of a typed address
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src "
    "'unsafe-inline'; connect-src 'self'; media-src blob:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Memory:
    """The last motions by what was asked."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._held: OrderedDict[tuple[Any, ...], ScoredMotion] = OrderedDict()
        self._lock = threading.Lock()

    def motions(self, chosen: Sequence[ModelSource], asked: Asked) -> list[ScoredMotion]:
        """Generate what is not held."""
        return [self._motion(one, asked) for one in chosen]

    def _motion(self, source: ModelSource, asked: Asked) -> ScoredMotion:
        key = (source.digest, source.name, asked.prompt, asked.seconds, asked.seed)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        self._studio.check_readable(source, asked.prompt)
        found = self._studio.generate(source, asked.prompt, seconds=asked.seconds, seed=asked.seed)
        with self._lock:
            self._held[key] = found
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        return found


def demo_app(
    studio: Studio,
    known: Sequence[ModelSource],
    *,
    concept: str,
    examples: Sequence[str] = EXAMPLES,
    review: Review | None = None,
) -> FastAPI:
    """Build the demo's application.

    known: models that can be chosen, the default first. review: adds the page `/review`. It answers requests
    for 127.0.0.1 and localhost only, and whatever is wrong with a request as status 400 and one sentence.
    """
    app = FastAPI(title="HMU demo", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)
    memory = Memory(studio)
    text = _page(studio, known, concept, examples, reviewed=review is not None)
    chosen_first = named(known, defaults(known))
    threading.Thread(target=_warm, args=(studio, chosen_first), daemon=True).start()

    @app.exception_handler(HmuError)
    def refused(request: Request, error: HmuError) -> JSONResponse:
        del request
        return JSONResponse({"error": str(error)}, status_code=400)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        del request
        return JSONResponse({"error": complaint(list(error.errors()))}, status_code=400)

    @app.middleware("http")
    async def secured(request: Request, call_next: Any) -> Any:
        if request.headers.get("sec-fetch-site", "same-origin") not in SAME_SITE:
            return JSONResponse({"error": "requests of other sites are not answered"}, status_code=403)
        answer = await call_next(request)
        answer.headers.update(SECURITY)
        return answer

    @app.get("/", response_class=HTMLResponse)
    def index() -> str:
        return text

    @app.post("/api/motions")
    def motions(asked: Asked) -> dict[str, Any]:
        found = memory.motions(named(known, asked.models), asked)
        return group_json(asked.prompt, found, concept)

    @app.get("/api/file/{kind}")
    def file(kind: str, asked: Annotated[Asked, Depends(_from_query)]) -> Response:
        media, write = known_file(kind, {name: one[0] for name, one in KINDS.items()}), KINDS[kind][1]
        found = memory.motions(named(known, asked.models), asked)
        name = f"{files.stem(asked.prompt)}-{'-'.join(files.name_of(one) for one in found)}.{kind}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(write(found, asked.prompt), media_type=media, headers=headers)

    if review is not None:
        add_review(app, studio, review, concept)
    return app


def _warm(studio: Studio, chosen: Sequence[ModelSource]) -> None:
    for one in chosen:
        studio.load(one)


def _from_query(
    prompt: str, model: Annotated[list[str], Query()], seconds: str = "", seed: str = "0"
) -> Asked:
    from pydantic import ValidationError

    try:
        return Asked.model_validate({"prompt": prompt, "models": model, "seconds": seconds, "seed": seed})
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def group_json(prompt: str, motions: Sequence[ScoredMotion], concept: str) -> dict[str, Any]:
    """Write the motions of one prompt for the viewer's script."""
    return {
        "prompt": prompt,
        "fps": motions[0].fps,
        "body": body_json(motions[0].joints.shape[1]),
        "panels": [
            panel(
                one.source.label,
                one.joints,
                method=files.name_of(one),
                verdict=verdict_of(one, concept),
                score=None if one.curve is None else one.curve.scores,
                threshold=None if one.curve is None else one.curve.threshold,
            )
            for one in motions
        ],
    }


def verdict_of(motion: ScoredMotion, concept: str) -> str:
    """What the classifiers say of a motion; empty without classifiers."""
    flagging = [curve.name for curve in motion.curves if curve.flagged]
    if not motion.curves:
        return ""
    if len(flagging) == len(motion.curves):
        return f"flagged as {concept}"
    return f"flagged by {flagging[0]} only" if flagging else "not flagged"


def _page(
    studio: Studio, known: Sequence[ModelSource], concept: str, examples: Sequence[str], *, reviewed: bool
) -> str:
    chosen = defaults(known)
    return page(
        "demo",
        concept=concept,
        known=known,
        chosen=chosen,
        examples=examples,
        reviewed=reviewed,
        settings=script_json([{"shortest": studio.shortest / studio.fps, "chosen": chosen}]),
    )
