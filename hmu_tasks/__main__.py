"""`python -m hmu_tasks <step>`: the command line, one command per step; heavy imports stay inside the commands."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hmu_tasks.errors import HmuError

# No space left, quota used up, file larger than the limit that `ulimit -f` sets.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Remove a concept from text-to-motion models and measure what is left. "
    "Each command is one step of dvc.yaml; `dvc repro` runs them all.",
)


@app.command()
def ingest() -> None:
    """Read the raw dataset folder (or draw the synthetic one) into data/clips."""
    from hmu_tasks import ingest as step
    from hmu_tasks.console import bar, load_params

    step.run(load_params(), bar("ingest"))


@app.command("filter")
def filter_() -> None:
    """Split the clips into forget and retain set, into data/split."""
    from hmu_tasks import filter as step
    from hmu_tasks.console import load_params

    step.run(load_params())


@app.command()
def validate() -> None:
    """Check the data contracts; a broken one stops the pipeline and names the clips."""
    from hmu_tasks import validate as step
    from hmu_tasks.console import load_params

    step.run(load_params())


@app.command()
def train(
    component: Annotated[
        str, typer.Argument(help="text, evaluator, tokenizer, base-momask, residual, classifier")
    ],
    variant: Annotated[
        str | None, typer.Argument(help="full: all clips; retain: the retain set only (D_r)")
    ] = None,
) -> None:
    """Train one component; a killed run continues where it stopped."""
    from hmu_tasks import train as step
    from hmu_tasks.console import bar, load_params

    step.run(load_params(), component, variant, bar(f"train {component} {variant or ''}".strip()))


@app.command()
def codebook() -> None:
    """Count which codes the forget and the retain set use, and score them."""
    from hmu_tasks import codebook as step
    from hmu_tasks.console import load_params

    step.run(load_params())


@app.command()
def unlearn(model: str, method: str) -> None:
    """Apply a method to a model: one bundle per edit, with the proof of what changed."""
    from hmu_tasks import unlearn as step
    from hmu_tasks.console import bar, load_params

    step.run(load_params(), model, method, bar(f"unlearn {model} {method}"))


@app.command()
def evaluate(model: str, method: str) -> None:
    """Generate, judge and measure every edit that a method made of a model (`real real`: the data itself)."""
    from hmu_tasks import evaluate as step
    from hmu_tasks.console import bar, load_params

    step.run(load_params(), model, method, bar(f"evaluate {model} {method}"))


@app.command()
def report() -> None:
    """Write tables, plots, GIFs and the HTML page into reports/."""
    from hmu_tasks import report as step
    from hmu_tasks.console import load_params

    step.run(load_params())


@app.command()
def table() -> None:
    """Print the result table and where the report lies."""
    from hmu_tasks.console import print_table

    print_table()


@app.command()
def preset(
    name: Annotated[str, typer.Argument(help="a name from hmu_tasks/presets, such as smoke or default")],
    path: Annotated[Path, typer.Option(help="the params.yaml to change")] = Path("params.yaml"),
) -> None:
    """Change params.yaml to a preset: its keys are overlaid, everything else and the comments stay."""
    from hmu_tasks.presets import apply

    apply(name, path)


def _mendable(error: OSError) -> str | None:
    """Say in plain words what the user can mend; None where the fault may be ours."""
    place = error.filename or Path.cwd()
    # numpy tells a full disk without a number: "263 requested and 0 written".
    if error.errno in _FULL or (error.errno is None and "requested and" in str(error)):
        return (
            f"the disk is full ({place}: {error.strerror or error}); free some space and start the same command "
            "again: finished steps are kept, and training continues from its last checkpoint"
        )
    if error.errno == errno.ENOENT and error.filename and not Path(error.filename).is_absolute():
        return f"{place} is missing; run the steps before this one first (`dvc repro` does)"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{place}: {error.strerror}; the project's folder must be readable and writable"
    return None


def main() -> None:
    """Run a command; what a user can mend is one message without a traceback."""
    try:
        app()
    except HmuError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        message = _mendable(error)
        if message is None:
            raise
        sys.exit(f"error: {message}")
    except KeyboardInterrupt:
        sys.stderr.write(os.linesep)
        sys.exit(130)


if __name__ == "__main__":
    main()
