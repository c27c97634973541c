"""Training of one network of a text-to-motion model: a job in, a component folder out."""

from dataclasses import asdict, fields

from hmu_tasks.models import Network
from hmu_tasks.models.generators.code_network import CodeNetwork
from hmu_tasks.models.networks.components import save_network
from hmu_tasks.models.networks.sections import Training
from hmu_tasks.runtime.addresses import found_at
from hmu_tasks.training.loop.code_sets import code_sets
from hmu_tasks.training.loop.history import History
from hmu_tasks.training.loop.job import Job
from hmu_tasks.training.loop.transformers import fit_codes


def train_network(job: Job, described: Network, knobs: Training, *, seed_of: str) -> History:
    """Train a network on the codes of a variant's clips and write it into the job's folder.

    knobs: its section of params.yaml. Steps, batch and rate are the schedule; every further knob is a field of the
    network's configuration. So are the sizes of what it reads (`code_sets`), where it has a field of that name.
    seed_of: the name that its seed follows from (`Job.seed`).
    """
    train, val, sizes = code_sets(job)
    config_class = found_at(described.config)
    read = {field.name for field in fields(config_class)} & sizes.keys()
    config = config_class(
        **{name: sizes[name] for name in read}, **knobs.model_dump(exclude=set(Training.model_fields))
    )
    network: CodeNetwork = found_at(described.network)(config, seed=job.seed(seed_of))
    trained = fit_codes(network.to(job.device), train, val, **job.common(seed_of, knobs))
    save_network(network.cpu(), asdict(config), job.folder)
    return trained.history
