"""All file locations, relative to the project root (the working directory).

A process works on one training of the models at a time, as it works in one directory: `work_on` chooses it, and the
functions below lead to the folders of that training.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

DATA = Path("data")
RAW = DATA / "raw"
CLIPS = DATA / "clips"
SPLIT = DATA / "split"
REVIEWS = DATA / "reviews"
VALIDATION = DATA / "validation.json"

RUNS = Path("runs")
TRAIN = RUNS / "train"
UNLEARN = RUNS / "unlearn"
EVALUATE = RUNS / "evaluate"
PROBE = RUNS / "probe"
REGISTER = RUNS / "register"

REPORTS = Path("reports")

# Side folders: untracked and safe to delete; they hold resumable training state, caches, sites and stores.
SIDE = RUNS / "side"
SCRATCH = SIDE / "scratch"
STEPS = SIDE / "steps"  # when, how long and how each stage last ran
LIVE = SIDE / "live"  # the curves of each training so far
MIRRORED = SIDE / "mirrored.json"  # what MLflow has already
CACHE = SIDE / "cache"
VALIDATION_SITE = SIDE / "validation"


PARENTS = ("data", "data/raw", "reports", "runs", "runs/side", "runs/[!s]*", "runs/[!s]*/*", "runs/[!s]*/*/*")
"""Where the folders lie that steps write as a whole, as glob patterns."""

SHARED = ("evaluator", "classifier")
"""Components that measure: every training of the models shares them."""

_TRAINING = ContextVar("training", default=0)


def training() -> int:
    """Number of the training that this process works on."""
    return _TRAINING.get()


def work_on(number: int) -> None:
    """Work on a training from now on."""
    _TRAINING.set(number)


@contextmanager
def of_training(number: int) -> Iterator[None]:
    """Work on a training for a while."""
    before = _TRAINING.set(number)
    try:
        yield
    finally:
        _TRAINING.reset(before)


def component(name: str, variant: str | None = None) -> Path:
    """Folder of a component: text, evaluator or classifier; or tokenizer, base-<model> or residual of a variant."""
    return (TRAIN if name in SHARED else _here(TRAIN)) / (name if variant is None else f"{name}-{variant}")


def live_curves(output: Path) -> Path:
    """File of the curves so far of the component whose folder is `output`: its name, then the training's number."""
    return LIVE / f"{'-'.join(reversed(output.relative_to(TRAIN).parts))}.csv"


def codebook() -> Path:
    """Folder of the code usage of the original's tokenizer."""
    return _here(RUNS / "codebook")


def edits(model: str, method: str) -> Path:
    """Folder of the bundles that a method made from a model, one sub-folder per edit."""
    return _here(UNLEARN) / model / method


def evaluation(model: str, method: str) -> Path:
    """Folder of the metrics and samples of a model after a method; `real` belongs to no training."""
    return (EVALUATE if model == "real" else _here(EVALUATE)) / model / method


def probing(model: str, method: str) -> Path:
    """Folder of the attack success rates on a model after a method."""
    return _here(PROBE) / model / method


def registration(model: str, method: str) -> Path:
    """Folder of the evidence, gate decision and model card of a method's selected edit, of the first training."""
    return REGISTER / model / method


def _here(folder: Path) -> Path:
    return folder / str(training())
