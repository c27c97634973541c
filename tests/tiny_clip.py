"""A CLIP text model of a few thousand numbers in transformers' layout, with a tokenizer of letters and one word."""

import json
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModelWithProjection
from transformers.utils import logging

LETTERS = "abcdefghijklmnopqrstuvwxyz.,'"
VOCABULARY = [
    *LETTERS,
    *(f"{c}</w>" for c in LETTERS),
    "ki",
    "kic",
    "kick</w>",
    "<|startoftext|>",
    "<|endoftext|>",
]


def write_clip(folder: Path, *, vision: bool = False, heads: int = 2) -> Path:
    """Write the model, random but always the same; with `vision` the whole model of both towers, as published."""
    logging.disable_progress_bar()
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(VOCABULARY)}))
    (folder / "merges.txt").write_text("#version: 0.2\nk i\nki c\nkic k</w>\n")
    text = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "intermediate_size": 16,
        "projection_dim": 12,
        "num_hidden_layers": 1,
        "num_attention_heads": heads,
        "max_position_embeddings": 20,
        "bos_token_id": len(VOCABULARY) - 2,
        "eos_token_id": len(VOCABULARY) - 1,
        "pad_token_id": len(VOCABULARY) - 1,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if vision:
            image = {
                "hidden_size": 8,
                "intermediate_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
            }
            image |= {"image_size": 8, "patch_size": 4}
            model = CLIPModel(CLIPConfig(text_config=text, vision_config=image, projection_dim=12))
        else:
            model = CLIPTextModelWithProjection(CLIPTextConfig(**text))
    model.save_pretrained(folder)
    return folder
