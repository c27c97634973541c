"""`python -m hmu_tasks <step>`: the command line, one command per step; heavy imports stay inside the commands."""

import hmu_tasks.runtime.interpreter  # noqa: F401 before all that the system's Python may lack

# isort: split
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from hmu_tasks.methods import METHODS
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.registry import commands as registry_commands
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.environment import prepare
from hmu_tasks.runtime.errors import HmuError, remedy
from hmu_tasks.runtime.files import recover_below
from hmu_tasks.runtime.loading import quick_imports
from hmu_tasks.runtime.threads import limit_threads
from hmu_tasks.studio import commands as studio_commands

if TYPE_CHECKING:
    from hmu_tasks.config.params import Params

Method = Annotated[str, typer.Argument(help=", ".join((*ENDS, *METHODS)))]
Training = Annotated[
    int | None, typer.Option(min=0, help="a number of run.trainings; without it the first of them")
]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Remove a concept from text-to-motion models and measure what is left. "
    "Each command is one step of dvc.yaml; `dvc repro` runs them all.",
)
P = ParamSpec("P")


def recorded(step: Callable[P, None]) -> Callable[P, None]:
    """Note in runs/side/steps when a step ran, how long and how it ended."""

    @functools.wraps(step)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        from hmu_tasks.tracking import steps

        with steps.recorded():
            step(*arguments, **options)

    return run


def working_on(training: int | None) -> "Params":
    """Read params.yaml, and work on one training of the models from now on."""
    from hmu_tasks.config.params import load
    from hmu_tasks.runtime import paths

    params = load()
    paths.work_on(params.training(training))
    return params


def checked(params: "Params") -> "Params":
    """Check the limits of the gate before anything runs: what they ask for is measured hours later."""
    from hmu_tasks.metrics.limits import check_limits
    from hmu_tasks.runtime.errors import ConfigError

    limits = params.register_
    try:
        check_limits(forget=limits.forget, retain=limits.retain, induced=limits.induced, named="register")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return params


@app.command()
@recorded
def ingest() -> None:
    """Read a raw dataset folder (or generate the synthetic one) into data/clips.

    run.dataset names the dataset, ingest.source its folder (docs/data.md):

    \b
      python -m hmu_tasks preset humanml3d
      dvc add data/raw/humanml3d
      dvc repro ingest

    \b
    humanml3d  new_joint_vecs/ID.npy (frames, 263), texts/ID.txt, split lists;
               or AMASS as downloaded: preset humanml3d-amass
    motionx    motion_data/smplx_322 or vector_263, texts, split lists

    Damaged clips stop the step with a list; ingest.on_bad: skip goes on.
    """
    with quick_imports():
        from hmu_tasks import ingest as step
        from hmu_tasks.config.params import load
        from hmu_tasks.runtime.console import bar

    step.print_report(step.run(checked(load()), bar("ingest")))


@app.command("filter")
@recorded
def filter_() -> None:
    """Split the clips into forget and retain set, into data/split."""
    with quick_imports():
        from hmu_tasks import filter as step
        from hmu_tasks.config.params import load

    step.run(checked(load()))


@app.command()
@recorded
def validate() -> None:
    """Check the data contracts; a broken one stops the pipeline and names the clips."""
    with quick_imports():
        from hmu_tasks import validate as step
        from hmu_tasks.config.params import load

    step.run(load())


@app.command()
@recorded
def train(
    component: Annotated[
        str, typer.Argument(help="text, evaluator, tokenizer, base-<model>, residual, classifier")
    ],
    variant: Annotated[
        str | None, typer.Argument(help="full: all clips; retrain: the retain set only (D_r)")
    ] = None,
    training: Training = None,
) -> None:
    """Train one component; a killed run continues where it stopped."""
    with quick_imports():
        from hmu_tasks import train as step
        from hmu_tasks.runtime.console import bar

    step.run(working_on(training), component, variant, bar(f"train {component} {variant or ''}".strip()))


@app.command()
@recorded
def codebook(training: Training = None) -> None:
    """Count which codes the forget and the retain set use, and score them."""
    with quick_imports():
        from hmu_tasks import codebook as step

    step.run(working_on(training))


@app.command()
@recorded
def unlearn(model: str, method: Method, training: Training = None) -> None:
    """Apply a method to a model: one bundle per edit, with a record of the changed tensors."""
    with quick_imports():
        from hmu_tasks import unlearn as step
        from hmu_tasks.runtime.console import bar

    step.run(working_on(training), model, method, bar(f"unlearn {model} {method}"))


@app.command()
@recorded
def evaluate(model: str, method: str, training: Training = None) -> None:
    """Generate with and measure every edit that a method made of a model (`real real`: the data itself)."""
    with quick_imports():
        from hmu_tasks import evaluate as step
        from hmu_tasks.runtime.console import bar

    step.run(working_on(training), model, method, bar(f"evaluate {model} {method}"))


@app.command()
@recorded
def probe(model: str, method: str, training: Training = None) -> None:
    """Attack the selected edit of a method (or `original`, `retrain`) and count how often the concept comes back."""
    with quick_imports():
        from hmu_tasks import probe as step
        from hmu_tasks.runtime.console import bar

    step.run(working_on(training), model, method, bar(f"probe {model} {method}"))


@app.command()
@recorded
def report() -> None:
    """Write tables, plots, GIFs and the HTML page into reports/."""
    with quick_imports():
        from hmu_tasks import report as step
        from hmu_tasks.runtime.console import bar

    step.run(working_on(None), bar("report"))


@app.command()
@recorded
def register(
    model: str,
    method: str,
    edit: Annotated[
        str | None, typer.Option(help="an edit other than the selected one, such as strength064-s0")
    ] = None,
    decide_only: Annotated[bool, typer.Option(help="write evidence and decision, register nothing")] = False,
    not_reproduced: Annotated[
        bool,
        typer.Option(
            "--not-reproduced", help="register without DVC's record; the gate refuses it by default"
        ),
    ] = False,
) -> None:
    """Check the selected edit of a method against the gate, and register it as a version in the MLflow registry.

    What is registered must be DVC's record of present code, parameters and data: run `dvc repro` first.
    """
    if decide_only:
        with quick_imports():
            from hmu_tasks import register as step

        step.run(working_on(None), model, method, edit)
    else:
        from hmu_tasks.registry import publish

        publish.run(working_on(None), model, method, edit, reproduced=not not_reproduced)


@app.command()
def mirror() -> None:
    """Write what finished stages left to MLflow; what is there already is not written again.

    Steps of dvc.lock whose output is not here, or was changed since, are skipped and counted.
    """
    from hmu_tasks.tracking import mirror as work

    outcome = work.run()
    if outcome.written:
        sys.stdout.write(f"{outcome.written} new runs in MLflow\n")
    if outcome.skipped:
        sys.stdout.write(f"{outcome.skipped} steps skipped: no output here, or not the one of dvc.lock\n")


@app.command()
def table(
    all_: Annotated[
        bool, typer.Option("--all", help="every table of the report, not only the decision")
    ] = False,
) -> None:
    """Print the gate's decision, the ranking and where the report lies."""
    from hmu_tasks.runtime import paths

    summary = paths.REPORTS / ("tables.txt" if all_ else "summary.txt")
    if not summary.exists():
        raise HmuError(f"{summary} is missing; run `make repro` (or `dvc repro`) first")
    page = (paths.REPORTS / "index.html").resolve().as_uri()
    more = "" if all_ else "All tables: python -m hmu_tasks table --all\n"
    sys.stdout.write(f"{summary.read_text(encoding='utf-8')}{more}Report: {page}\n")


@app.command()
def skeleton(
    file: Annotated[Path, typer.Argument(help="a BVH file")],
    picture: Annotated[Path, typer.Option(help="where the picture goes")] = Path("skeleton.png"),
) -> None:
    """Propose a name map for a BVH skeleton, as YAML, and draw its T-pose as mapped."""
    from hmu_tasks.viewer.skeleton import propose_and_draw

    sys.stdout.write(propose_and_draw(file, picture))


@app.command()
def export(
    clip: Annotated[
        str, typer.Argument(help="a clip id of data/clips, or a .npy file of features or joints")
    ],
    to: Annotated[Path, typer.Option(help="the file to write; .glb or .bvh")] = Path("motion.glb"),
) -> None:
    """Write a motion as GLB, which Blender, Windows and web viewers open, or as BVH."""
    from hmu_tasks.data.clips.export import export as write

    write(clip, to, Path("data/clips"))


@app.command()
def preset(
    name: Annotated[str, typer.Argument(help="a name from hmu_tasks/config/presets, such as smoke or full")],
    path: Annotated[Path, typer.Option(help="the params.yaml to change")] = Path("params.yaml"),
) -> None:
    """Change params.yaml to a preset: its keys are overlaid, everything else and the comments stay."""
    from hmu_tasks.config.presets import apply

    apply(name, path)


app.add_typer(registry_commands.app)
app.add_typer(studio_commands.app)


def main() -> None:
    """Run a command; errors that the user can fix are printed as one message without a traceback."""
    try:
        prepare()
        limit_threads()
        recover_below(Path(), paths.PARENTS)
        app()
    except HmuError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        message = remedy(error)
        if message is None:
            raise
        sys.exit(f"error: {message}")
    except KeyboardInterrupt:
        sys.stderr.write(os.linesep)
        sys.exit(130)


if __name__ == "__main__":
    main()
