"""The default run's figures under an evaluator and violence classifiers of other seeds.

    python benchmarks/evaluators.py [--shifts 1000 2000]

Run it in a project where `make repro` has ended. For each shift, added to run.seed, evaluator and classifiers are
trained anew, on the same clips and the same models, in a folder of its own under runs/side/evaluators, one for each
state of dvc.lock; then every cell of the first training is evaluated, strengths selected anew, and the real motions.
The models and what they generate are those of the run. Prints the headline metrics of each cell side by side; a call
that was killed goes on with what it has.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from hmu_tasks.config.params import Params, load
from hmu_tasks.evaluation.record_files import read_records
from hmu_tasks.metrics.headline import of_records
from hmu_tasks.metrics.records import ENDS
from hmu_tasks.models.networks import weights
from hmu_tasks.runtime import paths
from hmu_tasks.runtime.files import read_object, write_json
from hmu_tasks.runtime.yaml_files import read_yaml
from hmu_tasks.viewer.reading import SECOND

PLACE = paths.SIDE / "evaluators"
SHOWN = ("strength", "forget_flagged", "retain_flagged", "gap_closed", "induced", "retain_r1", "forget_fid")


def place_for(shift: int) -> Path:
    """Make a folder with all of this project but evaluator, classifiers and evaluations, by links."""
    folder = PLACE / f"{shift}-{weights.digest(Path('dvc.lock'))[:12]}"
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
    write_json(folder / "params.yaml", params)
    here = {**os.environ, "PYTHONPATH": str(Path().resolve()), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "hmu_tasks", *words], cwd=folder, env=here, check=True)


def measure(shift: int, cells: list[tuple[str, str]]) -> Path:
    """Train evaluator and classifiers of another seed and evaluate the cells; returns the folder."""
    folder = place_for(shift)
    given = read_yaml(Path("params.yaml"))
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
    if model == "real":
        found = of_records([one for one in read_records(place) if one["method"] == "real"])
    else:
        found = read_object(place / "headline.json")
    return {name: max(found[name], found.get(name + SECOND, found[name])) for name in SHOWN if name in found}


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
