"""Networks, and the text-to-motion models made of them."""

from importlib import import_module
from typing import TYPE_CHECKING

from hmu_tasks.runtime.errors import ConfigError

if TYPE_CHECKING:
    from hmu_tasks.models.generators.text_to_motion import TextToMotion

# Addresses instead of classes: `--help` must not wait for torch.
MODELS: dict[str, str] = {
    "momask": "hmu_tasks.models.generators.momask:MoMask",
    "bamm": "hmu_tasks.models.generators.bamm:Bamm",
}


def model_class(model: str) -> "type[TextToMotion]":
    """Return the class of a text-to-motion model; ConfigError lists the known models."""
    if model not in MODELS:
        raise ConfigError(f"unknown model {model!r}; choose one of {', '.join(MODELS)}")
    module, _, name = MODELS[model].partition(":")
    found: type[TextToMotion] = getattr(import_module(module), name)
    return found
