"""The commands `generate`, `demo` and `review`; heavy imports stay inside them."""

import getpass
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.loading import quick_imports

app = typer.Typer()


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="what the person does, in English")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="original, retrain, a method of run.methods or champion; may be given several times"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="where to write, without ending")] = Path("clip"),
    length: Annotated[
        float | None, typer.Option(help="seconds; default: the model's own, or 5 where it has none")
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same motion")] = 0,
) -> None:
    """Generate a motion for a prompt and write it as NPZ, BVH, GLB, GIF and MP4.

    Without --model: the registry's champion, or else the first of run.methods,
    and the original beside it. A score above the
    classifier's threshold means that the motion is flagged.
    """
    with quick_imports():
        from hmu_tasks.config.params import load
        from hmu_tasks.runtime import paths
        from hmu_tasks.studio import files
        from hmu_tasks.studio.motions import check_prompt
        from hmu_tasks.studio.opening import open_here
        from hmu_tasks.studio.sources import defaults, named

    check_prompt(prompt)
    if not out.name or out.is_dir() or not out.parent.is_dir():
        raise HmuError(
            f"--out {out} must be a file's path without ending in an existing folder, such as clip"
        )
    params = load()
    paths.work_on(params.training(None))
    with tempfile.TemporaryDirectory() as scratch:
        studio, known = open_here(params, Path(scratch))
        chosen = named(known, model or defaults(known))
        for source in chosen:
            studio.check_readable(source, prompt)
        motions = [studio.generate(one, prompt, seconds=length, seed=seed) for one in chosen]
    for one in motions:
        said = f"{one.source.label}: {len(one.joints) / one.fps:.1f} s"
        if one.curve is not None:
            verdict = f"{'' if one.curve.flagged else 'not '}flagged as {params.run.concept}"
            said += f", {verdict} (score {one.curve.peak:.2f}, threshold {one.curve.threshold:.2f})"
        sys.stdout.write(f"{said}\n")
    for place in files.write_files(motions, prompt, out):
        sys.stdout.write(f"{place}\n")


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="on 127.0.0.1")] = 8350,
) -> None:
    """Serve a page on this machine on which prompts can be typed and models compared; Ctrl-C ends it."""
    with quick_imports():
        from hmu_tasks.config.params import load
        from hmu_tasks.runtime import paths
        from hmu_tasks.studio.opening import open_here
        from hmu_tasks.studio.serving import serve

    params = load()
    paths.work_on(params.training(None))
    with tempfile.TemporaryDirectory() as scratch:
        studio, known = open_here(params, Path(scratch))
        serve(studio, known, concept=params.run.concept, port=port)


@app.command()
def review(
    model: Annotated[
        str | None,
        typer.Option(
            help="the edited model, a method of run.methods; default: the one that leads the ranking"
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, max=96, help="pairs to judge")] = 60,
    port: Annotated[int, typer.Option(min=1, max=65535, help="on 127.0.0.1")] = 8350,
) -> None:
    """Serve a page on which a person judges blind pairs of motions; Ctrl-C ends it, answers stay.

    Answers lie in data/reviews, one file per reviewer;
    report, model card and gate read them (docs/review.md).
    """
    with quick_imports():
        from hmu_tasks.config.params import load
        from hmu_tasks.runtime import paths
        from hmu_tasks.studio.opening import open_here
        from hmu_tasks.studio.pairs import blind_pairs, leading
        from hmu_tasks.studio.review import Review
        from hmu_tasks.studio.serving import serve

    params = load()
    paths.work_on(params.training(None))
    with tempfile.TemporaryDirectory() as scratch:
        studio, known = open_here(params, Path(scratch), champion=False)
        edit = model or leading(params)
        drawn = blind_pairs(params, known, edit, pairs)
        reviewed = edit.rpartition("/")[0] or params.run.models[0]
        asked = Review(reviewed, drawn, params.run.seed, paths.REVIEWS, system_user())
        serve(studio, known, concept=params.run.concept, port=port, review=asked)


def system_user() -> str:
    """Name of the operating system's user; empty where it has none, as in a container with another user id."""
    from hmu_tasks.reviews.answers import reviewer_name

    try:
        return reviewer_name(getpass.getuser())
    except (KeyError, OSError, ValueError):
        return ""
