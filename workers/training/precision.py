"""Mixed precision: in which type a network computes, and a step of the optimiser in it.

On a GPU that has bfloat16, that: its range needs no scaling of the loss. On one that has not, float16 with a scaled
loss; a step whose gradients overflow is left out and the scale halved (arXiv 1710.03740). On the CPU float32 alone,
where training is the same to the last bit.
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
    """`dtype`: in which convolutions and products are computed; weights stay float32."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self.dtype = device, dtype
        self._scaler = GradScaler(device.type, enabled=dtype is torch.float16)

    @classmethod
    def of(cls, device: torch.device) -> Precision:
        """The one that suits the device."""
        if device.type != "cuda":
            return cls(device, torch.float32)
        return cls(device, torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16)

    @classmethod
    def unscaled(cls, device: torch.device) -> Precision:
        """That of `of`, but float32 where half precision would take a scaled loss."""
        found = cls.of(device)
        return found if found.dtype is not torch.float16 else cls(device, torch.float32)

    def autocast(self) -> torch.autocast:
        """Within: forward passes in `dtype`."""
        return torch.autocast(self._device.type, self.dtype, enabled=self.dtype is not torch.float32)

    def step(self, loss: Tensor, optimizer: Optimizer, *others: Optimizer, clip_norm: float = 0.0) -> None:
        """Gradients of the loss, and the steps that they ask for.

        `clip_norm`: the largest norm of all gradients of the first optimiser together; 0: any. It stays on the device.
        """
        for one in (optimizer, *others):
            one.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if clip_norm:
            self._scaler.unscale_(optimizer)
            clip_grad_norm_([one for group in optimizer.param_groups for one in group["params"]], clip_norm)
        for one in (optimizer, *others):
            self._scaler.step(one)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """The scale of the loss; nothing where it is not scaled."""
        return self._scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()`."""
        self._scaler.load_state_dict(dict(state))
