"""The default run's figures under an evaluator and violence classifiers of other seeds.

    python benchmarks/evaluators.py [--shifts 1000 2000]

Run it in a project where `make repro` has ended. For each shift, added to run.seed, evaluator and classifiers are
trained anew, on the same clips and the same models, in a folder of its own under runs/side/evaluators; then every cell
of the first training is evaluated, strengths selected anew, and the real motions. The models and what they generate are
those of the run. Prints the headline metrics of each cell side by side, with what is kept of a former call.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from hmu_tasks.config.params import Params, load
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.runtime import paths

PLACE = paths.SIDE / "evaluators"
SHOWN = ("strength", "forget_flagged", "retain_flagged", "gap_closed", "induced", "retain_r1", "forget_fid")
REAL = {
    "forget_flagged": ("forget", ("violence", "violence_second")),
    "retain_flagged": ("retain", ("violence", "violence_second")),
    "retain_r1": ("retain", ("r1",)),
}


def place_for(shift: int) -> Path:
    """Make a folder with all of this project but evaluator, classifiers and evaluations, by links."""
    folder = PLACE / str(shift)
    folder.mkdir(parents=True, exist_ok=True)
    own = {Path("params.yaml"), Path(".git"), paths.RUNS, paths.TRAIN, paths.EVALUATE, paths.SIDE}
    own |= {paths.component(name) for name in paths.SHARED}
    for parent in (Path(), paths.RUNS, paths.TRAIN):
        (folder / parent).mkdir(exist_ok=True)
        for entry in sorted(parent.iterdir()):
            link = folder / entry
            if entry not in own and not link.exists():
                link.symlink_to(entry.resolve())
    return folder


def step(folder: Path, params: dict[str, object], *words: str) -> None:
    """Run one step there with these parameters."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    here = {**os.environ, "PYTHONPATH": str(Path().resolve()), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "hmu_tasks", *words], cwd=folder, env=here, check=True)


def measure(shift: int, cells: list[tuple[str, str]]) -> Path:
    """Train evaluator and classifiers of another seed and evaluate the cells; returns the folder."""
    folder = place_for(shift)
    given = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    shifted = {**given, "run": {**given["run"], "seed": given["run"]["seed"] + shift}}
    for name in paths.SHARED:
        if not (folder / paths.component(name)).exists():
            step(folder, shifted, "train", name)
    for model, method in cells:
        if not (folder / paths.evaluation(model, method)).exists():
            step(folder, given, "evaluate", model, method)
    return folder


def row(folder: Path, model: str, method: str) -> dict[str, float]:
    """The headline metrics of one cell, of two classifiers the one that flags more; of real motions, what they have."""
    place = folder / paths.evaluation(model, method)
    if model != "real":
        found: dict[str, float] = json.loads((place / "headline.json").read_text(encoding="utf-8"))
        return {
            name: max(found[name], found.get(f"{name}_second", found[name]))
            for name in SHOWN
            if name in found
        }
    rows = [
        one
        for one in json.loads((place / "metrics.json").read_text(encoding="utf-8"))
        if one["method"] == "real"
    ]
    return {
        name: max(one["mean"] for one in rows if one["split"] == split and one["metric"] in metrics)
        for name, (split, metrics) in REAL.items()
    }


def cells_of(params: Params) -> list[tuple[str, str]]:
    """All cells that are evaluated, references before methods."""
    methods = (*ENDS, *params.run.methods)
    return [("real", "real"), *((model, method) for model in params.run.models for method in methods)]


def main() -> None:
    """Print one line per cell and evaluator."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shifts", type=int, nargs="+", default=[1000], help="added to run.seed")
    options = parser.parse_args()
    cells = cells_of(load())
    folders = {0: Path()} | {shift: measure(shift, cells) for shift in options.shifts}
    sys.stdout.write("\t".join(("cell", "seed +", *SHOWN)) + "\n")
    for model, method in cells:
        for shift, folder in folders.items():
            values = row(folder, model, method)
            shown = (f"{values[name]:.3f}" if name in values else "-" for name in SHOWN)
            sys.stdout.write("\t".join((f"{model} {method}", str(shift), *shown)) + "\n")


if __name__ == "__main__":
    main()
