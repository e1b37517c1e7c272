"""Parts of the project's own models: cheap dropout, rotary positions, a layer of attention.

B rows, T positions, D width, H heads, d = D / H.
"""

import torch
import torch.nn.functional as F
from torch import nn

from pianogen.models.key_value_cache import KeyValueCache

ROTARY_BASE = 10_000.0


class Dropout(nn.Module):
    """Dropout whose random numbers cost little on a CPU: a byte for each value, where torch draws a float.

    Args:
        p: share of values that become 0, taken to the nearest 256th.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """X, in training with some values 0 and the others larger."""
        threshold = round(self.p * 256)
        if not self.training or not threshold:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, threshold / 256)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
        return x * kept * (256 / (256 - threshold))


def rotation(positions: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine of the angles that positions turn a head by.

    Args:
        positions: (..., T).
        width: of the head, d.

    Returns:
        Two tensors (..., T, d / 2).
    """
    exponent = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    angle = positions[..., None].float() * ROTARY_BASE**-exponent
    return angle.cos(), angle.sin()


def rotated(x: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Queries or keys (B, H, T, d) turned, so that their products depend on the distance alone.

    Source: Su et al., "RoFormer" (2021).
    """
    cos, sin = turn
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)


class RotaryLayer(nn.Module):
    """Causal attention with rotary positions and a network of two layers, each normalised before.

    Args:
        width: D.
        num_heads: H.
        dropout: of what the layer adds.
        inner: width inside the network; 0: four times D.
    """

    def __init__(self, width: int, num_heads: int, dropout: float, inner: int = 0) -> None:
        super().__init__()
        inner = inner or 4 * width
        self.num_heads = num_heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_in, self.mlp_out = nn.Linear(width, inner), nn.Linear(inner, width)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        cache: KeyValueCache | None = None,
        number: int = 0,
    ) -> torch.Tensor:
        """X (B, T, D) after this layer.

        Args:
            x: what it is given.
            turn: as of `rotation`.
            cache: of the positions before x, extended by these.
            number: of the layer in it.
        """
        shape = (*x.shape[:2], 3, self.num_heads, -1)
        query, key, value = self.qkv(self.attention_norm(x)).view(shape).permute(2, 0, 3, 1, 4).unbind(0)
        # Short heads on a CPU: attention in fp32 is faster than in bf16, whose way back is slow.
        with torch.autocast(x.device.type, enabled=x.device.type != "cpu"):
            if x.device.type == "cpu":
                query, key, value = query.float(), key.float(), value.float()
            query, key = rotated(query, turn), rotated(key, turn)
            if cache is None:
                seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            else:
                seen = cache.attend(number, query, key, value)
        x = x + self.dropout(self.attention_out(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x)), approximate="tanh")))
