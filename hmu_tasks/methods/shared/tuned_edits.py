"""Edits by training on, from a bundle to edited bundles with the proof of what changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hmu_tasks.methods.shared.cost import Cost
from hmu_tasks.methods.shared.difference import difference
from hmu_tasks.methods.shared.tuning import Objective, tune
from hmu_tasks.models import model_named
from hmu_tasks.models.generators.bundle import load_bundle, save_bundle
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import load_config
from hmu_tasks.runtime.files import write_json
from hmu_tasks.training.loop.fit import Progress
from hmu_tasks.training.loop.transformers import CodeSet


@dataclass(frozen=True)
class TunedEdits:
    """What the edits of one model start from.

    source: the original bundle; model: its name. forget, retain: training clips of either set. scratch: folder of the
    training state of these very inputs.
    """

    source: Path
    model: str
    forget: CodeSet
    retain: CodeSet
    device: torch.device
    scratch: Path

    def sweep(
        self,
        method: str,
        objective: Callable[..., Objective],
        folder: Path,
        steps: Sequence[int],
        seeds: Sequence[int],
        *,
        batch: int,
        rate: float,
        seed: int,
        cost: Cost,
        knobs: Mapping[str, Any],
        progress: Progress | None,
    ) -> None:
        """Write one bundle per listed number of optimiser steps and seed, as k<steps>-s<seed>; 0 is the original.

        objective: (original network, forget, retain, device, knobs) -> what the network is trained on. Each network of
        the model takes that many steps; tokenizer and text encoder keep their bytes. cost: of a step 0, to which the
        optimiser's steps are added.
        """
        networks = load_bundle(self.source, torch.device("cpu")).model.networks
        wanted = sorted(set(steps) - {0})
        total = len(seeds) * len(networks) * max(wanted, default=0)
        for number, drawn in enumerate(seeds):
            states: dict[str, dict[int, dict[str, Tensor]]] = {}
            for place, name in enumerate(networks if wanted else ()):
                before = (number * len(networks) + place) * wanted[-1]
                network = networks[name]
                states[name] = tune(
                    network,
                    objective(network, self.forget, self.retain, device=self.device, **knobs),
                    steps=wanted,
                    batch=batch,
                    rate=rate,
                    seed=seed + 1000 * drawn + sum(name.encode()),
                    device=self.device,
                    scratch=self.scratch / f"s{drawn}" / name,
                    progress=_after(before, total, progress),
                )
            for count in steps:
                report = {"method": method, "strength": count, "seed": drawn}
                spent = Cost(count * len(networks), cost.clips_read, cost.captions_read) if count else Cost()
                tuned = {name: found[count] for name, found in states.items()} if count else {}
                self._save(tuned, {**report, "cost": asdict(spent)}, folder / f"strength{count:03d}-s{drawn}")

    def _save(
        self, tuned: Mapping[str, Mapping[str, Tensor]], report: Mapping[str, Any], target: Path
    ) -> None:
        """Write a bundle with other weights of some components, and edit.json: which tensors changed, how much."""
        parts = {name: self.source / name for name in model_named(self.model).parts}
        changes = {}
        for name, state in tuned.items():
            parts[name] = target / name
            found = difference(weights.load_state(self.source / name), state)
            weights.save(state, load_config(self.source / name), parts[name])
            changes[name] = asdict(found)
            for change in changes[name]["changed"].values():
                del change["rows"]  # nearly all of them, thousands to a table
        lineage = {"method": report["method"], "from": self.source.as_posix()}
        save_bundle(parts, target, lineage, model=self.model)
        content = {
            **report,
            "edited": [f"{name}.{tensor}" for name, found in changes.items() for tensor in found["changed"]],
            "changed_parameters": sum(
                change["values"] for found in changes.values() for change in found["changed"].values()
            ),
            "untouched_components": [name for name in parts if name not in changes],
            **changes,
        }
        write_json(target / "edit.json", content)


def _after(before: int, total: int, progress: Progress | None) -> Progress | None:
    """Progress of one training of several."""
    return None if progress is None else lambda done, _: progress(before + done, total)
