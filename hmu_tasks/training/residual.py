"""Training of the residual transformer of one variant."""

from dataclasses import asdict

from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.networks.components import save_network
from hmu_tasks.training.loop.code_sets import code_sets
from hmu_tasks.training.loop.fit import History
from hmu_tasks.training.loop.job import Job
from hmu_tasks.training.loop.transformers import train_transformer


def train(job: Job) -> History:
    """The residual transformer of one variant."""
    knobs = job.params.train.residual
    train, val, width = code_sets(job)
    tokens = job.params.train.tokenizer
    config = ResidualTransformerConfig(
        codes=tokens.codes,
        code_width=tokens.code_width,
        quantizers=tokens.quantizers,
        text_width=width,
        latent=knobs.latent,
        layers=knobs.layers,
        heads=knobs.heads,
        feedforward=knobs.feedforward,
        dropout=knobs.dropout,
        condition_drop=knobs.condition_drop,
    )
    network = ResidualTransformer(config, seed=job.seed("residual"))
    trained = train_transformer(
        network.to(job.device),
        network.training_loss,
        train,
        val,
        padding=network.pad_id,
        **job.common("residual", knobs),
    )
    save_network(network.cpu(), asdict(config), job.folder)
    return trained.history
