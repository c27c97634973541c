"""The only owner of file locations, relative to the project's root folder (the working directory)."""

from pathlib import Path

from hmu_tasks.runtime.code_digest import code_digest

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

# Side folders: never tracked, safe to delete; they hold resumable training state, caches, sites and stores.
SIDE = RUNS / "side"
SCRATCH = SIDE / "scratch"
STEPS = SIDE / "steps"  # when, how long and how each stage ran last
LIVE = SIDE / "live"  # <component>.csv: the curves of a training, as far as it is
MIRRORED = SIDE / "mirrored.json"  # what MLflow has already
CACHE = SIDE / "cache" / code_digest("models")  # what other code of the models drew is not read
VALIDATION_SITE = SIDE / "validation"


def component(name: str, variant: str | None = None) -> Path:
    """Folder of a trained component: text, evaluator, classifier, or tokenizer, base-<model>, residual of a variant."""
    return TRAIN / (name if variant is None else f"{name}-{variant}")


def edits(model: str, method: str) -> Path:
    """Folder of all bundles that a method made from a model, one sub-folder per edit."""
    return UNLEARN / model / method


def evaluation(model: str, method: str) -> Path:
    """Folder of the figures and samples of a model after a method."""
    return EVALUATE / model / method


def probing(model: str, method: str) -> Path:
    """Folder of the attacks' success rates on a model after a method."""
    return PROBE / model / method


def registration(model: str, method: str) -> Path:
    """Folder of the evidence, the gate's decision and the model card of a method's selected edit."""
    return REGISTER / model / method
