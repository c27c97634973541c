"""Training of a model's own network of one variant, component `base-<model>`."""

from hmu_tasks.models import model_named
from hmu_tasks.training.loop.code_networks import train_network
from hmu_tasks.training.loop.history import History
from hmu_tasks.training.loop.job import Job


def train(job: Job, model: str) -> History:
    """Train the network that belongs to `model` alone; its descriptor names the classes."""
    described = model_named(model)
    knobs = getattr(job.params.train.base, model)
    return train_network(job, described.networks[described.own], knobs, seed_of=described.own)
