"""Training of a model's own base transformer of one variant."""

from dataclasses import asdict

from hmu_tasks.config.sections.training import Transformer
from hmu_tasks.models import model_class
from hmu_tasks.models.generators.bamm_base import BammTransformer
from hmu_tasks.models.generators.masked import MaskTransformer
from hmu_tasks.models.networks.components import save_network
from hmu_tasks.training.loop.code_sets import code_sets
from hmu_tasks.training.loop.fit import History
from hmu_tasks.training.loop.job import Job
from hmu_tasks.training.loop.transformers import train_transformer


def train(job: Job, model: str) -> History:
    """The base transformer of `model`, of one variant."""
    knobs: Transformer = getattr(job.params.train.base, model)
    kind = model_class(model)
    train, val, width = code_sets(job)
    tokens = job.params.train.tokenizer
    config = kind.config(
        codes=tokens.codes,
        code_width=tokens.code_width,
        text_width=width,
        latent=knobs.latent,
        layers=knobs.layers,
        heads=knobs.heads,
        feedforward=knobs.feedforward,
        dropout=knobs.dropout,
        condition_drop=knobs.condition_drop,
    )
    network: MaskTransformer | BammTransformer = kind.network(config, seed=job.seed("base"))
    trained = train_transformer(
        network.to(job.device),
        lambda codes, text, lengths, generator: network.training_loss(
            codes[..., 0], text, lengths, generator
        ),
        train,
        val,
        padding=network.pad_id,
        **job.common("base", knobs),
    )
    save_network(network.cpu(), asdict(config), job.folder)
    return trained.history
