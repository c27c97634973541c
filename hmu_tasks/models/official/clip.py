"""CLIP's text tower from OpenAI's own checkpoint, written as a folder in transformers' layout.

Names of the tensors: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", and
the released code (clip/model.py); ViT-B-32.pt is a TorchScript archive, whose code is not run here.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hmu_tasks.models.networks import weights
from hmu_tasks.models.networks.components import link_files
from hmu_tasks.models.official.archive import DAMAGED, check_sizes, read_checkpoint
from hmu_tasks.models.official.torchscript import is_torchscript, read_parameters
from hmu_tasks.models.text.encoders import ClipTextEncoder
from hmu_tasks.runtime.errors import WeightsError

VOCABULARY = ("vocab.json", "merges.txt")
HEAD = 64  # width of an attention head in every CLIP
_VISION = ("visual.", "logit_scale", "input_resolution", "context_length", "vocab_size")
_IN_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def import_clip(folder: Path, target: Path) -> Path:
    """Put a CLIP text encoder into the component folder `target`, from transformers' layout or OpenAI's checkpoint.

    Returns the file with the weights. Raises WeightsError when there is neither, or what is there cannot be used.
    """
    if not (folder / "config.json").is_file() and any(folder.glob("*.pt")):
        weights_file = convert_clip(folder, target)
        ClipTextEncoder(target)
        return weights_file
    ClipTextEncoder(folder)
    link_files(folder, target)
    return folder / weights.WEIGHTS


def convert_clip(folder: Path, target: Path) -> Path:
    """Write `target` in transformers' layout from a folder with one OpenAI checkpoint (.pt), vocab.json and merges.txt.

    The .pt is the published TorchScript archive or a state dict that torch.save wrote. Returns the file read. Raises
    WeightsError for anything else.
    """
    found = sorted(folder.glob("*.pt"))
    if len(found) != 1:
        raise WeightsError(
            f"{folder} holds neither a CLIP in transformers' layout (config.json) nor exactly one OpenAI checkpoint "
            f"(.pt, found {len(found)}); see docs/checkpoints.md"
        )
    lost = [name for name in VOCABULARY if not (folder / name).is_file()]
    if lost:
        raise WeightsError(
            f"{folder} lacks {' and '.join(lost)} of CLIP's tokenizer; take them from openai/clip-vit-base-patch32"
        )
    published = _tensors(found[0])
    try:
        check_sizes(published, found[0].stat().st_size)
        state = text_tower(published, found[0])
        _save(state, target, found[0])
    except DAMAGED as error:  # tensors of other shapes than those that are renamed and split
        raise WeightsError(f"{found[0]} is not OpenAI's CLIP: {error}; get the file again") from error
    for name in VOCABULARY:
        shutil.copyfile(folder / name, target / name)
    return found[0]


def text_tower(published: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Rename the tensors of OpenAI's text tower to transformers' names, float32; the image tower is dropped."""
    out: dict[str, Tensor] = {}
    unknown = []
    for key, tensor in published.items():
        value = tensor.to(torch.float32)
        layer = re.fullmatch(r"transformer\.resblocks\.([0-9]{1,3})\.(.+)\.(weight|bias)", key)
        packed = re.fullmatch(r"transformer\.resblocks\.([0-9]{1,3})\.attn\.in_proj_(weight|bias)", key)
        if key.startswith(_VISION):
            continue
        if packed:
            for name, part in zip("qkv", value.chunk(3), strict=True):
                out[f"text_model.encoder.layers.{packed[1]}.self_attn.{name}_proj.{packed[2]}"] = part.clone()
        elif layer and layer[2] in _IN_LAYER:
            out[f"text_model.encoder.layers.{layer[1]}.{_IN_LAYER[layer[2]]}.{layer[3]}"] = value
        elif key == "token_embedding.weight":
            out["text_model.embeddings.token_embedding.weight"] = value
        elif key == "positional_embedding":
            out["text_model.embeddings.position_embedding.weight"] = value
        elif key.startswith("ln_final."):
            out[f"text_model.final_layer_norm.{key.removeprefix('ln_final.')}"] = value
        elif key == "text_projection":
            out["text_projection.weight"] = value.T.contiguous()
        else:
            unknown.append(key)
    if unknown:
        raise WeightsError(f"{path} is not OpenAI's CLIP: it has {', '.join(sorted(unknown))}")
    return out


def _tensors(path: Path) -> Mapping[str, Tensor]:
    if is_torchscript(path):
        return read_parameters(path)
    content = read_checkpoint(path)
    content = content.get("state_dict", content)
    foreign = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(f"{path} is not a state dict: {', '.join(foreign[:5])} are not tensors")
    return dict(content)


def _save(state: Mapping[str, Tensor], target: Path, path: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    try:
        words, width = state["text_model.embeddings.token_embedding.weight"].shape
        positions = len(state["text_model.embeddings.position_embedding.weight"])
        projection = len(state["text_projection.weight"])
        inner = len(state["text_model.encoder.layers.0.mlp.fc1.weight"])
    except KeyError as error:
        raise WeightsError(
            f"{path} is not OpenAI's CLIP: it lacks the tensors that become {error}"
        ) from error
    numbers = {int(key.split(".")[3]) for key in state if key.startswith("text_model.encoder.layers.")}
    config = CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=inner,
        projection_dim=projection,
        num_hidden_layers=len(numbers),
        num_attention_heads=max(width // HEAD, 1),
        max_position_embeddings=positions,
        hidden_act="quick_gelu",
        # The two special tokens end OpenAI's vocabulary; the last, the end of a text, has the vector that is projected.
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=words - 1,
    )
    with torch.device("meta"):
        shell = CLIPTextModelWithProjection(config)
    try:
        weights.require_fit(shell, state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    weights.save(state, config.to_dict() | {"architectures": ["CLIPTextModelWithProjection"]}, target)
