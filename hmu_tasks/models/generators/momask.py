"""MoMask: a masked base transformer and a residual transformer over the codes of an RVQ-VAE.

Guo et al. 2024, "MoMask: Generative Masked Modeling of 3D Human Motions" (arXiv 2312.00063).
"""

from hmu_tasks.models import Model, Network
from hmu_tasks.models.networks.sections import Transformer

RESIDUAL = Network(
    component="residual",
    network="hmu_tasks.models.generators.residual:ResidualTransformer",
    config="hmu_tasks.models.generators.residual:ResidualTransformerConfig",
)

MODEL = Model(
    name="momask",
    label="MoMask",
    section=Transformer,
    generator="hmu_tasks.models.generators.two_stage:TwoStage",
    networks={
        "base": Network(
            component="base-momask",
            network="hmu_tasks.models.generators.masked:MaskTransformer",
            config="hmu_tasks.models.generators.masked:MaskTransformerConfig",
        ),
        "residual": RESIDUAL,
    },
    official="hmu_tasks.models.official.networks:read_mask_transformer",
)
