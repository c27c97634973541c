"""T2M-GPT: a causal transformer over the codes of one codebook.

Zhang et al. 2023, "T2M-GPT: Generating Human Motion from Textual Descriptions with Discrete Representations"
(arXiv 2301.06052).
"""

from hmu_tasks.models import Model, Network
from hmu_tasks.models.networks.sections import Transformer

MODEL = Model(
    name="t2mgpt",
    label="T2M-GPT",
    section=Transformer,
    generator="hmu_tasks.models.generators.one_layer:OneLayer",
    networks={
        "base": Network(
            component="base-t2mgpt",
            network="hmu_tasks.models.generators.t2mgpt_base:T2mGptTransformer",
            config="hmu_tasks.models.generators.t2mgpt_base:T2mGptConfig",
        ),
    },
)
