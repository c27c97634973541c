"""The registry's champions among the models that a prompt can be given to."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hmu_tasks.models.networks import weights
from hmu_tasks.registry.moves import CHAMPION
from hmu_tasks.registry.verification import signed_bundle
from hmu_tasks.registry.versions import open_registry, registered_names
from hmu_tasks.runtime.errors import HmuError
from hmu_tasks.runtime.files import read_json
from hmu_tasks.studio.sources import ModelSource
from hmu_tasks.tracking.store import side_folder


def with_champion(known: Sequence[ModelSource], scratch: Path) -> list[ModelSource]:
    """Put the registry's champions first, if there are any; the run's bundles stay behind them.

    scratch: existing folder for the files of a champion that is not among the run's bundles. Raises HmuError where a
    store is configured and cannot be reached, where an alias contradicts the journal, or where the bundle is not the
    one that was signed.
    """
    if "MLFLOW_TRACKING_URI" not in os.environ and not (side_folder(Path()) / "mlflow.db").exists():
        return list(known)
    found = []
    for name in registered_names(Path()):
        registry = open_registry(Path(), name)
        version = registry.with_alias(CHAMPION)
        if version is None:
            continue
        faults = registry.misplaced(registry.state())
        if faults:
            raise HmuError(
                f"{name}: {'; '.join(faults)}; an alias was moved by hand, see `python -m hmu_tasks moves`"
            )
        digest = signed_bundle(registry, version)
        here = next((one for one in known if one.digest == digest), None)
        label = f"champion, version {version.number} of {name}"
        folder = here.folder if here else registry.download(version, scratch, "model/artifacts/bundle")
        parts = read_json(folder / "bundle.json")["components"]
        if weights.combine({part: weights.digest(folder / part) for part in parts}) != digest:
            raise HmuError(
                f"{label}: the bundle is not the one that was registered; run `python -m hmu_tasks verify`"
            )
        found.append(ModelSource(CHAMPION, f"{label} ({here.label})" if here else label, folder, digest))
    if len(found) > 1:
        found = [replace(one, name=f"{CHAMPION}-{place}") for place, one in enumerate(found, 1)]
    return [*found, *known]
