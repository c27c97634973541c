"""A BERT of a few thousand random numbers with the files of all-MiniLM-L6-v2: same names, keys and settings."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel
from transformers.utils import logging

from hmu_tasks.runtime.files import write_json

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,'"
VOCABULARY = [*SPECIAL, *LETTERS, *(f"##{c}" for c in LETTERS), "kick", "##s", "person", "walk", "##ing"]
PIECES = list(dict.fromkeys(VOCABULARY))
# What the published config.json says beside the sizes.
SETTINGS = {
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "model_type": "bert",
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
}
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": len(PIECES),
}


def write_minilm(folder: Path) -> Path:
    """Write the model, random but always the same; it is nobody's, and LICENSE says so."""
    logging.disable_progress_bar()
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    (folder / "LICENSE").write_text("Anyone may use this model of random numbers.\n", encoding="utf-8")
    write_json(folder / "config.json", SETTINGS | SIZES)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = BertModel(BertConfig(**SETTINGS | SIZES)).state_dict()
    for name, values in state.items():  # so that texts differ much, as they do after training
        if values.ndim == 2:
            state[name] = 10 * values
    # Numbers of the positions are in the published file, too, as a transformers of its time stored them.
    state["embeddings.position_ids"] = torch.arange(SIZES["max_position_embeddings"])[None]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def sha256_of(folder: Path) -> str:
    """Digest of the weights."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
