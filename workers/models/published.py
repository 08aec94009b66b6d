"""Finds published weights of timm's list on this machine: in the cache of the Hugging Face hub, or of torch."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache
from timm.models import get_pretrained_cfg

from searchsvc.errors import InvalidInput

_ON_HUB = ("model.safetensors", "pytorch_model.bin")


def published(name: str) -> Path:
    """Return the file with weights of timm, such as `resnet50` or `resnet50.a1_in1k`; nothing is downloaded.

    Raises InvalidInput if timm has no weights with that name, or if their file is not on this machine.
    """
    config = get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None or not config.has_weights:
        raise InvalidInput.at("", f"timm publishes no weights of {name!r}: `timm.list_pretrained()` names those it has")
    for file in _ON_HUB if config.hf_hub_id else ():
        if isinstance(cached := try_to_load_from_cache(config.hf_hub_id, file), str):
            return Path(cached)
    checkpoint = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(config.url or "").path).name)
    if config.url and checkpoint.is_file():
        return checkpoint
    places = [
        *([f"{_ON_HUB[0]} of {config.hf_hub_id} in {constants.HF_HUB_CACHE}"] if config.hf_hub_id else []),
        *([str(checkpoint)] if config.url else []),
    ]
    raise InvalidInput.at("", f"the weights of {name} are not on this machine: they would be {' or '.join(places)}")
