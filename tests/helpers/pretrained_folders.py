"""Tiny pretrained models, made here: their tokenizers learn a few words, their weights are drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 44,
}
RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "deberta": {**SMALL, **RELATIVE},
    "deberta-v2": {**SMALL, **RELATIVE, "position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 44},
    "electra": {**SMALL, "embedding_size": 16},
    "modernbert": {**SMALL, "global_attn_every_n_layers": 2, "local_attention": 8},
    "roberta": SMALL,
    "xlm-roberta": SMALL,
}
"""`model_type` -> sizes. MiniLM is a bert."""
BYTE_PAIRS = ("roberta", "xlm-roberta", "modernbert")
WORDS = ["the", "film", "was", "good", "great", "fine", "fun", "bad", "poor", "dull", "and", "not", "very", "a", "it"]
PIECES = ["##ly", "##ing", "##un", ",", ".", "!"]
TEXTS = [
    "the film was good, and fun!",
    "a dull film. not good",
    "great fun",
    "it was very poor and bad.",
]


def write_folder(
    folder: Path,
    model_type: str = "bert",
    with_head: bool = False,
    sizes: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> Path:
    """Write a model of that type and return ``folder``.

    Args:
        sizes: what its config has of its own.
        changes: what its config says after the weights were drawn.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, model_type in BYTE_PAIRS)
    padding = 1 if model_type in BYTE_PAIRS else 0
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    sizes = {**ENCODERS[model_type], "vocab_size": len(vocabulary) + 2, "pad_token_id": padding, **sizes}
    if model_type == "modernbert":
        sizes |= dict.fromkeys(("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id"), 2)
    torch.manual_seed(0)
    kind = AutoModelForSequenceClassification if with_head else AutoModel
    kind.from_config(AutoConfig.for_model(model_type, **sizes)).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def write_tokenizer(folder: Path, byte_pairs: bool) -> None:
    """Write tokenizer.json and tokenizer_config.json of WordPiece, or of byte pairs, as such models have them."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    if byte_pairs:
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        names = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    else:
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        entries = [
            *special,
            *WORDS,
            *PIECES,
            *"bcdefghjklmnopqrstuvwxyz",
            *(f"##{letter}" for letter in "abcdefgilmnorstuy"),
        ]
        vocabulary = {word: number for number, word in enumerate(entries)}
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
        tokenizer.add_special_tokens(special)
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    # As MiniLM's: cut and padded in a way of its own, which a recipe's max_length replaces.
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16, pad_id=special.index(names["pad_token"]), pad_token=names["pad_token"])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names}))
