"""params.yaml of one run: that of its revision with a preset and single values applied."""

import sys
from pathlib import Path
from typing import Any

from flows.cluster.workspace import run_checked
from hmu_tasks.runtime.errors import HmuError


def set_params(root: Path, preset: str | None, values: dict[str, Any]) -> None:
    """Apply a preset to params.yaml, then dotted keys; comments and order stay.

    The revision's own code applies the preset and checks the result. Raises HmuError for an unknown key or value.
    """
    from dvc.utils.serialize import modify_yaml

    if preset is not None:
        run_checked(root, [sys.executable, "-m", "hmu_tasks", "preset", preset])
    if values:
        with modify_yaml(str(root / "params.yaml")) as content:
            for key, value in values.items():
                *sections, last = key.split(".")
                place = content
                for section in sections:
                    place = place.get(section) if isinstance(place, dict) else None
                if not isinstance(place, dict) or last not in place:
                    raise HmuError(f"params.yaml has no key {key!r}; name it as section.key")
                place[last] = value
    if (preset is not None or values) and (root / "hmu_tasks" / "config" / "params.py").exists():
        code = "import sys\nfrom hmu_tasks.config import params\nfrom hmu_tasks.runtime import errors\n"
        code += "try: params.load()\n"
        code += "except errors.HmuError as error: sys.exit(str(error))"
        run_checked(root, [sys.executable, "-c", code])
