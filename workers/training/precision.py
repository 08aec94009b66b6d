"""Mixed precision: the type in which a network computes, and steps of the optimiser in it.

A GPU with bfloat16 uses that: its range needs no scaling of the loss. Other GPUs use float16 with a scaled loss; a step
whose gradients overflow is skipped and the scale halved (arXiv 1710.03740). The CPU uses float32 only, with which
training is reproducible to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer


class Precision:
    """The type `dtype` of convolutions and matrix products; weights stay float32."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self.dtype = device, dtype
        self._scaler = GradScaler(device.type, enabled=dtype is torch.float16)

    @classmethod
    def of(cls, device: torch.device) -> Precision:
        """Return the precision that suits the device."""
        if device.type != "cuda":
            return cls(device, torch.float32)
        return cls(device, torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16)

    @classmethod
    def unscaled(cls, device: torch.device) -> Precision:
        """Return the precision that suits the device, but float32 if half precision would need a scaled loss."""
        suited = cls.of(device)
        return suited if suited.dtype is not torch.float16 else cls(device, torch.float32)

    def autocast(self) -> torch.autocast:
        """Return a context in which forward passes compute in `dtype`."""
        return torch.autocast(self._device.type, self.dtype, enabled=self.dtype is not torch.float32)

    def step(self, loss: Tensor, optimizer: Optimizer, *others: Optimizer, clip_norm: float = 0.0) -> None:
        """Backpropagate the loss and step the optimisers.

        `clip_norm`: largest norm of all gradients of the first optimiser together; 0: unlimited. It stays on the
        device.
        """
        for each in (optimizer, *others):
            each.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if clip_norm:
            self._scaler.unscale_(optimizer)
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            clip_grad_norm_(parameters, clip_norm)
        for each in (optimizer, *others):
            self._scaler.step(each)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """Return the scale of the loss; empty if the loss is not scaled."""
        return self._scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()`."""
        self._scaler.load_state_dict(dict(state))
