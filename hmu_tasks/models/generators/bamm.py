"""BAMM: MoMask's tokenizer and residual transformer around a bidirectional autoregressive base transformer.

Pinyoanuntapong et al. 2024, "BAMM: Bidirectional Autoregressive Motion Model" (arXiv 2403.19435).
"""

from hmu_tasks.models import Model, Network
from hmu_tasks.models.generators.momask import RESIDUAL
from hmu_tasks.models.networks.sections import Transformer

MODEL = Model(
    name="bamm",
    label="BAMM",
    section=Transformer,
    generator="hmu_tasks.models.generators.two_stage:TwoStage",
    networks={
        "base": Network(
            component="base-bamm",
            network="hmu_tasks.models.generators.bamm_base:BammTransformer",
            config="hmu_tasks.models.generators.bamm_base:BammConfig",
        ),
        "residual": RESIDUAL,
    },
    official="hmu_tasks.models.official.networks:read_bamm",
)
