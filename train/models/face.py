"""The face network: one grey face → seven logits."""

from torch import Tensor, nn

from engines.labels import EMOTIONS
from train.models.residual import trunk
from train.recipe import Network


class FaceNetwork(nn.Module):
    """A small residual network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.trunk = trunk(network, stem_stride=1)
        self.dropout = nn.Dropout(network.dropout)
        self.head = nn.Linear(network.widths[-1], len(EMOTIONS))

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 48, 48) → logits (B, 7), embedding (B, D)."""
        embedding = self.trunk(faces).mean(dim=(2, 3))  # (B, D, 6, 6) → (B, D)
        return self.head(self.dropout(embedding)), embedding
