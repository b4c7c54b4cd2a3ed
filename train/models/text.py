"""The text network: hashed words → seven logits."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, gelu

from engines.labels import EMOTIONS
from engines.preprocess.text import BUCKETS, PIECES, WORDS
from train.models.packed import rounded
from train.recipe import TextNetworkSize


class TextNetwork(nn.Module):
    """Words as sums of their pieces; residual convolutions over three words; mean, peak and bag.

    The table of pieces, nearly all of the weights, has 4 bits a weight, the other matrices have 8.
    """

    def __init__(self, network: TextNetworkSize) -> None:
        super().__init__()
        self.table = nn.Embedding(BUCKETS, network.width, padding_idx=0)
        nn.init.normal_(self.table.weight, std=0.1)
        with torch.no_grad():
            self.table.weight[0] = 0
        rounded(self.table, 4)
        self.inlet = rounded(nn.Linear(network.width, network.channels), 8)
        self.blocks = nn.ModuleList(
            Convolution(network.channels, network.dropout) for _ in range(network.layers)
        )
        self.norm = nn.LayerNorm(network.channels)
        self.dropout = nn.Dropout(network.dropout)
        width = network.width + 2 * network.channels
        self.hidden = nn.Sequential(rounded(nn.Linear(width, network.hidden), 8), nn.GELU())
        self.head = nn.Linear(network.hidden, len(EMOTIONS))

    def forward(self, buckets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 48 * 28) → logits (B, 7), embedding (B, D), of every word (B, 48, C) or zeros."""
        words, there = self._words(buckets.reshape(-1, PIECES))  # (B, 48, W), (B, 48, 1)
        length = there.sum(dim=1).clamp(min=1)  # (B, 1)
        seen = self.inlet(words)  # (B, 48, C)
        for block in self.blocks:
            seen = block(seen, there)
        seen = self.norm(seen) * there
        peak = (seen - 100 * (1 - there)).amax(dim=1).clamp(min=-10)
        bag = words.sum(dim=1) / length.sqrt()
        pooled = torch.cat([seen.sum(dim=1) / length, peak, bag], dim=1)
        embedding = self.hidden(self.dropout(pooled))
        return self.head(self.dropout(embedding)), embedding, seen

    def _words(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """(B * 48, 28) → words (B, 48, W), and which are there (B, 48, 1), 0 or 1."""
        table = self.table.weight
        count = (pieces != 0).sum(dim=1, keepdim=True)
        if self.training:  # half the time of the lines below, but ONNX makes a loop of it
            sums = embedding_bag(pieces, table, mode="sum", padding_idx=0)
        else:
            rows = table.index_select(0, pieces.flatten())  # padding is 0
            sums = rows.reshape(-1, PIECES, rows.shape[1]).sum(dim=1)
        words = (sums / count.clamp(min=1).sqrt()).reshape(-1, WORDS, table.shape[1])
        return words, (count > 0).to(words.dtype).reshape(-1, WORDS, 1)


class Convolution(nn.Module):
    """A residual convolution over three words."""

    def __init__(self, channels: int, dropped: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mix = rounded(nn.Conv1d(channels, channels, 3, padding=1), 8)
        self.dropout = nn.Dropout(dropped / 3)

    def forward(self, words: Tensor, there: Tensor) -> Tensor:
        """(B, 48, C), (B, 48, 1) → (B, 48, C)."""
        mixed = self.mix((self.norm(words) * there).transpose(1, 2))
        more: Tensor = self.dropout(gelu(mixed).transpose(1, 2))
        return words + more
