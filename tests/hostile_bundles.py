"""A whole tiny bundle on disk, for files that lie about the sizes of its networks."""

import atexit
import json
import shutil
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tiny_bundles import tiny_bundle

from hmu_tasks.models import model_named
from hmu_tasks.models.generators.bundle import Bundle, load_bundle
from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import save_network, save_statistics
from hmu_tasks.runtime.files import write_json

CPU = torch.device("cpu")
PARTS = model_named("momask").parts


@cache
def _written() -> Path:
    """The folder of the bundle's parts, written once in a process."""
    root = Path(tempfile.mkdtemp(prefix="hmu-tiny-bundle-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    bundle = tiny_bundle()
    model = bundle.model
    for name, network in {"tokenizer": model.tokenizer.network, **model.networks}.items():
        save_network(network, asdict(network.config), root / name)
    save_statistics(model.tokenizer.mean, model.tokenizer.std, root / "tokenizer")
    save_network(bundle.text, bundle.text.describe(), root / "text")
    return root


def good_config(part: str) -> bytes:
    """config.json of a part of the bundle."""
    return (_written() / part / "config.json").read_bytes()


def load_with(config: Path) -> Bundle:
    """Load the bundle with another config.json, which lies in the folder of its part; the digests fit."""
    root = config.parent.parent
    for name in PARTS:
        (root / name).mkdir(exist_ok=True)
        for file in (_written() / name).iterdir():
            place = root / name / file.name
            if place != config and not place.exists():
                place.write_bytes(file.read_bytes())
    huge = config.is_file() and config.stat().st_size > 1 << 30  # hashing it is what must not be done
    digests = {name: "" if huge else weights.digest(root / name) for name in PARTS}
    write_json(root / "bundle.json", {"model": "momask", "components": digests})
    return load_bundle(root, CPU)


LIES: dict[str, Any] = {
    "a million": 10**6,
    "a thousand million": 10**9,
    "beyond 64 bits": 2**70,
    "thousands of digits": int("9" * 4000),
    "negative": -1,
    "a large fraction": 1e308,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "a text": "10000000000",
    "true": True,
    "nothing": None,
    "a list": [10**9],
    "an object": {"layers": 10**9},
}


def lying_configs(part: str) -> dict[str, bytes]:
    """Configurations of a part in which one number, or each, is another one."""
    values = json.loads(good_config(part))
    sizes = [key for key, value in values.items() if isinstance(value, int) and not isinstance(value, bool)]
    found = {
        f"{key} is {name}": json.dumps(values | {key: lie}) for key in sizes for name, lie in LIES.items()
    }
    found |= {f"all are {name}": json.dumps(values | dict.fromkeys(sizes, lie)) for name, lie in LIES.items()}
    return {name: text.encode() for name, text in found.items()}
