"""Networks, and the text-to-motion models made of them: each model is a file with its descriptor inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.runtime.errors import ConfigError

if TYPE_CHECKING:
    from hmu_tasks.models.networks.sections import Training

# Addresses of descriptors, in modules that import no torch: params.yaml is checked against them.
MODELS: dict[str, str] = {
    "momask": "hmu_tasks.models.generators.momask:MODEL",
    "bamm": "hmu_tasks.models.generators.bamm:MODEL",
    "t2mgpt": "hmu_tasks.models.generators.t2mgpt:MODEL",
}


@dataclass(frozen=True)
class Network:
    """One network of a model.

    component: what the step `train` trains, `base-<model>` for a model's own network. network: address of the class, a
    `CodeNetwork`. config: address of its configuration, a dataclass.
    """

    component: str
    network: str
    config: str


@dataclass(frozen=True)
class Model:
    """A text-to-motion model: how it is called, configured, trained and put together.

    section: schema of `train.base.<name>` in params.yaml. generator: address of the class, a `TextToMotion`. networks:
    its networks by the names of the class's fields, in the order in which they sample. trainer: address of what trains
    `base-<name>`, (Job, model name) -> History; None for the shared one. official: address of what reads a published
    checkpoint, (folder, Upstream) -> Official; None where there is none to read, and the network is always trained.
    """

    name: str
    label: str
    section: "type[Training]"
    generator: str
    networks: Mapping[str, Network]
    trainer: str | None = None
    official: str | None = None

    @property
    def components(self) -> dict[str, str]:
        """Trained component behind each part of a bundle."""
        own = {part: network.component for part, network in self.networks.items()}
        return {"text": "text", "tokenizer": "tokenizer", **own}

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of a bundle: text encoder, tokenizer, and the model's networks."""
        return tuple(self.components)

    @property
    def own(self) -> str:
        """Name of the network that `base-<name>` trains."""
        (part,) = (p for p, network in self.networks.items() if network.component == f"base-{self.name}")
        return part


def model_named(name: str) -> Model:
    """Return the descriptor of a text-to-motion model; ConfigError lists the known models."""
    if name not in MODELS:
        raise ConfigError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    found: Model = found_at(MODELS[name])
    assert found.name == name, f"{MODELS[name]} is called {found.name!r}"
    return found
