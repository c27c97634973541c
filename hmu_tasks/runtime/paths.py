"""All file locations, relative to the project root (the working directory)."""

from pathlib import Path

DATA = Path("data")
RAW = DATA / "raw"
CLIPS = DATA / "clips"
SPLIT = DATA / "split"
VALIDATION = DATA / "validation.json"

RUNS = Path("runs")
TRAIN = RUNS / "train"
CODEBOOK = RUNS / "codebook"
UNLEARN = RUNS / "unlearn"
EVALUATE = RUNS / "evaluate"
PROBE = RUNS / "probe"
REGISTER = RUNS / "register"

REPORTS = Path("reports")

# Side folders: untracked and safe to delete; they hold resumable training state, caches, sites and stores.
SIDE = RUNS / "side"
SCRATCH = SIDE / "scratch"
STEPS = SIDE / "steps"  # when, how long and how each stage last ran
LIVE = SIDE / "live"  # <component>.csv: the curves of a training so far
MIRRORED = SIDE / "mirrored.json"  # what MLflow has already
CACHE = SIDE / "cache"
VALIDATION_SITE = SIDE / "validation"


def component(name: str, variant: str | None = None) -> Path:
    """Folder of a component: text, evaluator or classifier; or tokenizer, base-<model> or residual of a variant."""
    return TRAIN / (name if variant is None else f"{name}-{variant}")


def edits(model: str, method: str) -> Path:
    """Folder of the bundles that a method made from a model, one sub-folder per edit."""
    return UNLEARN / model / method


def evaluation(model: str, method: str) -> Path:
    """Folder of the metrics and samples of a model after a method."""
    return EVALUATE / model / method


def probing(model: str, method: str) -> Path:
    """Folder of the attack success rates on a model after a method."""
    return PROBE / model / method


def registration(model: str, method: str) -> Path:
    """Folder of the evidence, gate decision and model card of a method's selected edit."""
    return REGISTER / model / method
