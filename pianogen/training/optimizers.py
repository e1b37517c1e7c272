"""What changes the weights: AdamW, or Muon for the matrices inside a model and AdamW for all else.

Muon takes the momentum of a gradient to the nearest orthogonal matrix, so that all directions move alike (Jordan et al.
2024, torch's `optim.Muon`). Its steps are scaled to the size of AdamW's (Liu et al. 2025, arXiv 2502.16982), so one
learning rate and one weight decay serve both.
"""

from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D


class MuonAndAdamW(torch.optim.Optimizer):
    """Both as one: one list of parameter groups for a schedule, one state to save and load.

    Args:
        model: whose weights change.
        decayed: names of the weights that decay.
        vocab_size: matrices that give logits of tokens are AdamW's, as embeddings are.
        learning_rate: as of AdamW.
        weight_decay: of those named.
        betas: of AdamW.
        eps: of AdamW.
    """

    def __init__(
        self,
        model: nn.Module,
        decayed: set[str],
        *,
        vocab_size: int,
        learning_rate: float,
        weight_decay: float,
        betas: tuple[float, float],
        eps: float,
    ) -> None:
        inner = inner_matrices(model, vocab_size)
        weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        of_muon = [weights[name] for name in weights if name in inner]
        others = [name for name in weights if name not in inner]
        groups: list[dict[str, Any]] = [
            {"params": [weights[name] for name in others if name in decayed], "weight_decay": weight_decay},
            {"params": [weights[name] for name in others if name not in decayed], "weight_decay": 0.0},
        ]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=learning_rate, betas=betas, eps=eps, fused=True)
        ]
        if of_muon:
            self.parts.append(
                torch.optim.Muon(of_muon, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        # The same dictionaries, so that what a schedule says here is said there.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step of both."""
        loss = closure() if closure else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Of both, one after the other."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def inner_matrices(model: nn.Module, vocab_size: int) -> set[str]:
    """Names of the matrices of linear layers, but for those that give logits or a single number."""
    return {
        f"{place}.weight"
        for place, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and vocab_size not in module.weight.shape
        and min(module.weight.shape) > 1
    }
