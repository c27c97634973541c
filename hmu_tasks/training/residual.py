"""Training of the residual transformer of one variant, which MoMask and BAMM share."""

from hmu_tasks.models.generators.momask import RESIDUAL
from hmu_tasks.models.networks.components import save_absent
from hmu_tasks.training.loop.code_networks import train_network
from hmu_tasks.training.loop.history import History
from hmu_tasks.training.loop.job import Job


def train(job: Job) -> History:
    """Train the network that predicts all quantizer layers but the first from those before; absent with one layer."""
    if job.params.train.tokenizer.quantizers == 1:
        save_absent(job.folder, "train.tokenizer.quantizers is 1: there is no further layer to predict")
        return History()
    return train_network(job, RESIDUAL, job.params.train.residual, seed_of="residual")
