"""Official checkpoint folders as checked states with their sizes: tokenizer, transformers, length estimator, evaluator.

Keys and files of the folders: the released MoMask code's train and eval scripts; sizes come from opt.txt, and from the
tensors' own shapes where the released code writes them as constants (CLIP's width, the evaluator's GRUs).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hmu_tasks.models.evaluators.evaluator import Evaluator, EvaluatorConfig
from hmu_tasks.models.evaluators.words import POS_CLASSES
from hmu_tasks.models.generators.bamm_base import BammConfig, BammTransformer
from hmu_tasks.models.generators.length import LengthConfig, LengthEstimator
from hmu_tasks.models.generators.masked import MaskTransformer, MaskTransformerConfig
from hmu_tasks.models.generators.residual import ResidualTransformer, ResidualTransformerConfig
from hmu_tasks.models.networks import weights
from hmu_tasks.models.official.archive import locate, module_state, read_checkpoint, read_statistics, shape_of
from hmu_tasks.models.official.options import Options, read_options
from hmu_tasks.models.tokenizer.rvq import RVQVAE, TokenizerConfig
from hmu_tasks.runtime.errors import ConfigError, WeightsError

Config = TypeVar("Config")
# Far beyond any released network: a typing error in opt.txt must not exhaust memory.
WIDEST, DEEPEST, MOST_CODES, MOST_LAYERS = 16_384, 64, 65_536, 64


@dataclass(frozen=True)
class Official:
    """What an official folder held: tensors, config.json's content, files read, its names, statistics."""

    state: dict[str, Tensor]
    config: dict[str, Any]
    files: tuple[Path, ...]
    names: tuple[str, ...] = ()
    statistics: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Upstream:
    """What a transformer was trained on: codebook sizes, tokenizer names as opt.txt may call it, width of the text."""

    codes: int
    code_width: int
    quantizers: int
    names: tuple[str, ...]
    text_width: int


def read_tokenizer(place: Path) -> Official:
    """Read an RVQ-VAE: opt.txt, meta/, and model/net_best_fid.tar unless another .tar is named.

    Raises WeightsError for whatever is missing, odd, or does not fit together; so do all readers here.
    """
    found = locate(place, "net_best_fid.tar")
    options = read_options(found.folder / "opt.txt")
    for key, wanted in {
        "vq_act": "relu",
        "vq_norm": "None",
        "shared_codebook": "False",
        "stride_t": "2",
        "down_t": "2",
    }.items():
        options.require(key, wanted)
    state = module_state(read_checkpoint(found.file), found.file, "vq_model", "net")
    statistics = read_statistics(found.folder)
    features = shape_of(state, "encoder.model.0.weight", 3, found.file)[1]
    if len(statistics[0]) != features:
        raise WeightsError(
            f"{found.folder / 'meta'} has {len(statistics[0])} values, but the tokenizer reads {features} features"
        )
    code_width = options.integer("code_dim", high=WIDEST)
    options.require("output_emb_width", str(code_width))
    joints = (features + 1) // 12  # features = 12 * joints - 1: 263 for 22 joints, 251 for 21
    config = _sizes(
        options,
        TokenizerConfig,
        features=features,
        width=options.integer("width", high=WIDEST),
        code_width=code_width,
        codes=options.integer("nb_code", high=MOST_CODES),
        quantizers=options.integer("num_quantizers", high=MOST_LAYERS),
        stages=options.integer("down_t", high=4),
        depth=options.integer("depth", high=16),
        dilation=options.integer("dilation_growth_rate", high=16),
        ema=options.share("mu"),
        quantize_dropout=options.share("quantize_dropout_prob"),
        positions_stop=min(4 + 3 * (joints - 1), features),
    )
    _fits(lambda: RVQVAE(config), state, found.file)
    files = (found.file, options.path, *(found.folder / "meta" / f"{n}.npy" for n in ("mean", "std")))
    names = tuple(sorted({found.folder.name, options.text("name")}))
    return Official(state, asdict(config), files, names, statistics)


def read_mask_transformer(place: Path, upstream: Upstream) -> Official:
    """Read MoMask's base: opt.txt and model/latest.tar unless another .tar is named."""
    found = _transformer(place, "latest.tar", ("t2m_transformer", "trans"), upstream)
    config = _sizes(found.options, MaskTransformerConfig, **_common(found, upstream))
    _fits(lambda: MaskTransformer(config), found.state, found.file)
    return Official(found.state, asdict(config), (found.file, found.options.path))


def read_bamm(place: Path, upstream: Upstream) -> Official:
    """Read BAMM's base: opt.txt with `trans: official` and model/latest.tar unless another .tar is named."""
    found = _transformer(place, "latest.tar", ("t2m_transformer", "trans"), upstream)
    found.options.require("trans", "official")
    config = _sizes(found.options, BammConfig, **_common(found, upstream))
    _fits(lambda: BammTransformer(config), found.state, found.file)
    return Official(found.state, asdict(config), (found.file, found.options.path))


def read_residual_transformer(place: Path, upstream: Upstream) -> Official:
    """Read the residual transformer: opt.txt and model/net_best_fid.tar unless another .tar is named."""
    found = _transformer(place, "net_best_fid.tar", ("res_transformer",), upstream)
    # Without shared weights the released forward pass adds the output to itself: such checkpoints are not in use.
    found.options.require("share_weight", "True")
    config = _sizes(
        found.options,
        ResidualTransformerConfig,
        quantizers=upstream.quantizers,
        **_common(found, upstream),
    )
    _fits(lambda: ResidualTransformer(config), found.state, found.file)
    return Official(found.state, asdict(config), (found.file, found.options.path))


def read_length_estimator(place: Path) -> Official:
    """Read the length estimator, model/finest.tar unless another .tar is named; it has no opt.txt."""
    found = locate(place, "finest.tar")
    state = module_state(read_checkpoint(found.file), found.file, "estimator")
    hidden, text_width = shape_of(state, "output.0.weight", 2, found.file)
    lengths = shape_of(state, "output.11.weight", 2, found.file)[0]
    config = LengthConfig(text_width=text_width, hidden=hidden, lengths=lengths)
    _fits(lambda: LengthEstimator(config), state, found.file)
    return Official(state, asdict(config), (found.file,))


def read_evaluator(place: Path, described: Path) -> Official:
    """Read the text-motion evaluator: model/finest.tar unless another .tar is named, and the folder that describes it.

    described: Comp_v6_KLD005, with opt.txt (sizes of the movement encoder, longest caption) and meta/.
    """
    found = locate(place, "finest.tar")
    options = read_options(described / "opt.txt")
    statistics = read_statistics(described)
    content = read_checkpoint(found.file)
    parts = ("movement_encoder", "motion_encoder", "text_encoder")
    state = {
        f"{part}.{key}": tensor
        for part in parts
        for key, tensor in module_state(content, found.file, part).items()
    }
    width = options.integer("dim_movement_latent", high=WIDEST)
    options.require("dim_movement_enc_hidden", str(width))
    options.require("unit_length", "4")
    word_width, pos_width = shape_of(state, "text_encoder.pos_emb.weight", 2, found.file)
    if pos_width != len(POS_CLASSES):
        raise WeightsError(f"{found.file} reads {pos_width} word classes instead of {len(POS_CLASSES)}")
    config = EvaluatorConfig(
        features=len(statistics[0]),
        movement_width=width,
        motion_hidden=shape_of(state, "motion_encoder.input_emb.weight", 2, found.file)[0],
        text_hidden=shape_of(state, "text_encoder.input_emb.weight", 2, found.file)[0],
        width=shape_of(state, "text_encoder.output_net.3.weight", 2, found.file)[0],
        word_width=word_width,
    )
    _fits(lambda: Evaluator(config), state, found.file)
    described_by = (options.path, *(described / "meta" / f"{name}.npy" for name in ("mean", "std")))
    settings = {**asdict(config), "max_words": options.integer("max_text_len", high=1000), "words": "glove"}
    return Official(state, settings, (found.file, *described_by), statistics=statistics)


@dataclass(frozen=True)
class _Transformer:
    file: Path
    options: Options
    state: dict[str, Tensor]


def _transformer(place: Path, published: str, keys: tuple[str, ...], upstream: Upstream) -> _Transformer:
    found = locate(place, published)
    options = read_options(found.folder / "opt.txt")
    if options.text("vq_name") not in upstream.names:
        raise WeightsError(
            f"{options.path}: vq_name is {options.text('vq_name')!r}, but the tokenizer here is "
            f"{' alias '.join(upstream.names)}: codes of another tokenizer mean other motions; name its folder in "
            "params.yaml, or correct vq_name if only the folder was renamed"
        )
    state = module_state(read_checkpoint(found.file), found.file, *keys)
    reads = shape_of(state, "cond_emb.weight", 2, found.file)[1]
    if reads != upstream.text_width:
        raise WeightsError(
            f"{found.file} reads sentence vectors of width {reads}, but the text encoder gives {upstream.text_width}; "
            "set train.text.clip_folder to the CLIP that it was trained with (ViT-B/32 for the published ones)"
        )
    return _Transformer(found.file, options, state)


def _common(found: _Transformer, upstream: Upstream) -> dict[str, Any]:
    options = found.options
    return {
        "codes": upstream.codes,
        "code_width": upstream.code_width,
        "latent": options.integer("latent_dim", high=WIDEST),
        "layers": options.integer("n_layers", high=DEEPEST),
        "heads": options.integer("n_heads", high=DEEPEST),
        "feedforward": options.integer("ff_size", high=WIDEST),
        "dropout": options.share("dropout"),
        "text_width": upstream.text_width,
        "condition_drop": options.share("cond_drop_prob"),
        "positions": shape_of(found.state, "position_enc.pe", 3, found.file)[0],
    }


def _sizes(options: Options, kind: Callable[..., Config], **sizes: Any) -> Config:
    try:
        return kind(**sizes)
    except ConfigError as error:
        raise WeightsError(f"{options.path}: {error}") from error


def _fits(build: Callable[[], nn.Module], state: Mapping[str, Tensor], file: Path) -> None:
    with torch.device("meta"):  # shapes only: nothing is initialised
        shell = build()
    try:
        weights.require_fit(shell, state)
    except WeightsError as error:
        raise WeightsError(f"{file}: {error}\nIs opt.txt the one of this checkpoint?") from error
