"""The released MoMask and BAMM code as `gpu.py` drives it: read from folders, never copied; inputs are the same.

The folders are checkouts of EricGuo5513/momask-codes and exitudio/BAMM; their `models` need the packages einops and
tqdm. Sentence vectors take the place of CLIP, which no side runs. Losses and optimisers are those of their trainers:
mean smooth L1, AdamW, no clipping, a loss read on the host in every step.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hmu_tasks.models.generators.masked import MaskTransformerConfig
from hmu_tasks.models.tokenizer.rvq import TokenizerConfig

NAMES = {"momask": "MoMask", "bamm": "BAMM"}


@contextmanager
def importable(folder: Path, model: str) -> Iterator[None]:
    """Let `models` of the released code of `model` be imported within a block; both have packages of these names."""
    if not (folder / "models" / "mask_transformer" / "transformer.py").is_file():
        raise SystemExit(f"{folder} holds no checkout of the released {NAMES[model]} code")
    sys.modules.setdefault("clip", ModuleType("clip"))  # imported at its top; nothing of it is called here
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [one for one in sys.modules if one.partition(".")[0] in ("models", "utils")]:
            del sys.modules[name]


@contextmanager
def _on(device: torch.device) -> Iterator[None]:
    """Let what moves itself to a GPU stay where it is, if the benchmark runs on a CPU."""
    before = torch.Tensor.cuda
    if device.type == "cpu":
        torch.Tensor.cuda = lambda tensor, *_: tensor
    try:
        yield
    finally:
        torch.Tensor.cuda = before


class Released:
    """The three networks of one model at given sizes on a device."""

    def __init__(
        self,
        folder: Path,
        model: str,
        tokenizer: TokenizerConfig,
        base: MaskTransformerConfig,
        device: torch.device,
    ) -> None:
        self.model = model
        with importable(folder, model):
            from models.mask_transformer import transformer
            from models.vq.model import RVQVAE

        for kind in (transformer.MaskTransformer, transformer.ResidualTransformer):
            kind.load_and_freeze_clip = lambda *_: None
            kind.encode_text = lambda _, vectors: vectors
        options = SimpleNamespace(
            num_quantizers=tokenizer.quantizers,
            shared_codebook=False,
            quantize_dropout_prob=tokenizer.quantize_dropout,
            mu=tokenizer.ema,
            num_tokens=tokenizer.codes,
            trans="official",  # BAMM's published transformer
        )
        sizes = (tokenizer.features, tokenizer.codes, tokenizer.code_width, tokenizer.code_width)
        sizes += (tokenizer.stages, 2, tokenizer.width, tokenizer.depth, tokenizer.dilation)
        with _on(device):
            self.tokenizer = RVQVAE(options, *sizes, "relu", None).to(device)
        network = {
            "code_dim": tokenizer.code_width,
            "cond_mode": "text",
            "latent_dim": base.latent,
            "ff_size": base.feedforward,
            "num_layers": base.layers,
            "num_heads": base.heads,
            "dropout": base.dropout,
            "clip_dim": base.text_width,
            "clip_version": "",
            "opt": options,
        }
        self.base = transformer.MaskTransformer(cond_drop_prob=0.1, **network).to(device)
        self.residual = transformer.ResidualTransformer(
            cond_drop_prob=0.2, shared_codebook=False, share_weight=True, **network
        ).to(device)

    def tokenizer_step(self, windows: Tensor, local: slice) -> Callable[[], float]:
        """Return a training step on windows [B, F, D] that are on the device."""
        network = self.tokenizer.train()

        def loss() -> Tensor:
            made, commitment, _ = network(windows)
            explicit = functional.smooth_l1_loss(made[..., local], windows[..., local])
            total: Tensor = functional.smooth_l1_loss(made, windows) + 0.5 * explicit + 0.02 * commitment
            return total

        return self._step(network, loss)

    def transformer_step(
        self, name: str, motions: Tensor, text: Tensor, frames: Tensor
    ) -> Callable[[], float]:
        """Return a step of `base` or `residual` that encodes its clips [B, F, D], as its trainer does."""
        network, tokenizer = getattr(self, name).train(), self.tokenizer.eval()

        def loss() -> Tensor:
            with torch.no_grad():
                codes, _ = tokenizer.encode(motions)
            found: Tensor = network(codes[..., 0] if name == "base" else codes, text, frames // 4)[0]
            return found

        return self._step(network, loss)

    def generate(self, text: Tensor, tokens: Tensor, *, steps: int) -> Tensor:
        """Sample codes with both transformers and decode them: [B, F, D]."""
        for network in (self.base, self.residual, self.tokenizer):
            network.eval()
        with torch.no_grad():
            given = {"timesteps": steps, "cond_scale": 4, "temperature": 1, "topk_filter_thres": 0.9}
            if self.model == "bamm":  # with given lengths; one place more than codes, for the end
                found_ids, _ = self.base.generate(text, tokens, is_predict_len=False, **given)
                ids = found_ids[:, : int(tokens.max())]
            else:
                ids = self.base.generate(text, tokens, **given)
            codes = self.residual.generate(ids, text, tokens, temperature=1, cond_scale=5)
            found: Tensor = self.tokenizer.forward_decoder(codes)
        return found

    def encode(self, clip: Tensor) -> Tensor:
        """Encode one clip [1, F, D], as its scripts do."""
        with torch.no_grad():
            codes: Tensor = self.tokenizer.eval().encode(clip)[0]
        return codes

    @staticmethod
    def _step(network: Any, loss: Callable[[], Tensor]) -> Callable[[], float]:
        optimiser = torch.optim.AdamW(network.parameters(), lr=2e-4, betas=(0.9, 0.99), weight_decay=1e-5)

        def step() -> float:
            total = loss()
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            return total.item()

        return step
