"""The text network: hashed words → seven logits."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, embedding_bag

from engines.labels import EMOTIONS
from engines.preprocess.text import BUCKETS, PIECES, WORDS
from train.recipe import TextNetworkSize


class TextNetwork(nn.Module):
    """Words as sums of their pieces; a bag of them beside a convolution over three."""

    def __init__(self, network: TextNetworkSize) -> None:
        super().__init__()
        self.table = nn.Embedding(BUCKETS, network.width, padding_idx=0)
        nn.init.normal_(self.table.weight, std=0.1)
        with torch.no_grad():
            self.table.weight[0] = 0
        self.word_dropout = network.word_dropout
        self.phrases = nn.Conv1d(network.width, network.phrases, 3, padding=1)
        self.dropout = nn.Dropout(network.dropout)
        width = network.width + 2 * network.phrases
        self.hidden = nn.Sequential(nn.Linear(width, network.hidden), nn.ReLU())
        self.head = nn.Linear(network.hidden, len(EMOTIONS))

    def forward(self, buckets: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 48 * 28) → logits (B, 7), embedding (B, D)."""
        pieces = buckets.reshape(-1, PIECES)  # (B * 48, 28)
        words = self._sums(pieces)
        count = (pieces != 0).sum(dim=1, keepdim=True)
        words = (words / count.clamp(min=1).sqrt()).reshape(-1, WORDS, words.shape[1])
        there = (count > 0).to(words.dtype).reshape(-1, WORDS, 1)
        length = there.sum(dim=1).clamp(min=1)  # (B, 1)
        bag = words.sum(dim=1) / length.sqrt()  # (B, W)
        words = dropout(words, self.word_dropout, self.training)
        phrases = self.phrases(words.transpose(1, 2)).relu() * there.transpose(1, 2)  # (B, P, 48)
        seen = torch.cat([phrases.amax(dim=2), phrases.sum(dim=2) / length, bag], dim=1)
        embedding = self.hidden(self.dropout(seen))
        return self.head(self.dropout(embedding)), embedding

    def _sums(self, pieces: Tensor) -> Tensor:
        """(B * 48, 28) → the sum of the words' pieces (B * 48, W)."""
        if self.training:  # half the time of the lines below, but ONNX makes a loop of it
            return embedding_bag(pieces, self.table.weight, mode="sum", padding_idx=0)
        rows = self.table.weight.index_select(0, pieces.flatten())  # padding is 0
        return rows.reshape(-1, PIECES, rows.shape[1]).sum(dim=1)
