"""LDDU (arXiv 2502.13954): several emotions at once, each with the noise of what shows it.

Sequences → a transformer for each modality → one feature vector of each label in each modality →
a normal distribution of each → probabilities. B samples, M modalities, L labels, W the width, Z
numbers in a latent mean; a modality's sequences are (B, T, D), T and D its own. A row of zeros is
padding; a sequence of nothing else is an absent modality.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, logsigmoid, pad

from train.multilabel.recipe import LdduSize

_LOG_VARIANCE = 8.0
"""The furthest that a log variance lies from 0, so that no input makes a spread infinite."""


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What the network says of B samples."""

    by_features: Tensor
    """(B, L) logits of p_c, from the features of all modalities."""
    fused: tuple[Tensor, Tensor] | None
    """(B, L) logits of p_μ and p_σ, from the means and from the deviations; None: p = p_c."""
    own: Tensor
    """(B, M, L) logits of each modality by itself (ours)."""
    mean: Tensor
    """(B, M, L, Z) μ."""
    log_variance: Tensor
    """(B, M, L, Z) log σ²."""
    there: Tensor
    """(B, M) bool, False where a modality is absent."""
    embedding: Tensor
    """(B, M·W), the features' mean over the labels."""

    @property
    def probability(self) -> Tensor:
        """(B, L) p = p_μ·p_c + p_σ·(1 - p_c): means count where features are sure, noise else."""
        sure = torch.sigmoid(self.by_features)
        if self.fused is None:
            return sure
        by_mean, by_noise = map(torch.sigmoid, self.fused)
        return by_mean * sure + by_noise * (1 - sure)

    @property
    def log_probability(self) -> tuple[Tensor, Tensor]:
        """(B, L) each: log p and log(1 - p), finite however sure the logits are."""
        yes, no = logsigmoid(self.by_features), logsigmoid(-self.by_features)
        if self.fused is None:
            return yes, no
        by_mean, by_noise = self.fused
        return (
            torch.logaddexp(logsigmoid(by_mean) + yes, logsigmoid(by_noise) + no),
            torch.logaddexp(logsigmoid(-by_mean) + yes, logsigmoid(-by_noise) + no),
        )

    @property
    def deviation(self) -> Tensor:
        """(B, M, L, Z) σ > 0."""
        return (self.log_variance / 2).exp()

    @property
    def spread_by_modality(self) -> Tensor:
        """(B, M) ≥ 0, the root mean square of σ over labels; 0 where absent."""
        size = max(self.log_variance[0, 0].numel(), 1)
        return (self.log_variance.exp().sum(dim=(2, 3)) / size).sqrt() * self.there

    @property
    def spread(self) -> Tensor:
        """(B, L) ≥ 0, the root mean square of σ over the modalities that are there."""
        size = max(self.log_variance.shape[3], 1) * self.there.sum(dim=1).clamp(min=1)  # (B,)
        variance = self.log_variance.exp().sum(dim=3) * self.there[:, :, None]  # (B, M, L)
        return (variance.sum(dim=1) / size[:, None]).sqrt()


class Lddu(nn.Module):
    """The network for modalities of given widths D and a number of labels."""

    def __init__(self, size: LdduSize, widths: Sequence[int], labels: int) -> None:
        super().__init__()
        wide, deep = len(widths) * size.width, len(widths) * size.latent
        self.labels = nn.Parameter(torch.randn(labels, size.width))
        self.modalities = nn.ModuleList(Unimodal(size, width) for width in widths)
        self.latents = nn.ModuleList(Latent(size) for _ in widths if size.latent)
        self.by_features = Readout(labels, wide)
        self.together = Together(size, len(widths), labels) if size.together else None
        self.own = Readout(len(widths), labels, size.width)
        fuses = size.latent and size.fusion == "uncertainty"
        self.by_mean = Readout(labels, deep) if fuses else None
        self.by_noise = Readout(labels, deep) if fuses else None

    def forward(self, sequences: Sequence[Tensor]) -> Predicted:
        """Take each modality's (B, T, D); a sequence may have no rows at all."""
        seen = [m(rows, self.labels) for m, rows in zip(self.modalities, sequences, strict=True)]
        features = torch.stack([f for f, _ in seen], dim=1)  # (B, M, L, W)
        mean, log_variance = self._distributions(features)  # (B, M, L, Z) each
        fused = None
        if self.by_mean and self.by_noise:
            noise = (log_variance / 2).exp()
            fused = self.by_mean(_joined(mean)), self.by_noise(_joined(noise))  # (B, L) each
        by_features = self.by_features(_joined(features))  # (B, L)
        if self.together:
            by_features = by_features + self.together(features)
        return Predicted(
            by_features=by_features,
            fused=fused,
            own=self.own(features),  # (B, M, L)
            mean=mean,
            log_variance=log_variance,
            there=torch.stack([t for _, t in seen], dim=1),  # (B, M)
            embedding=features.mean(dim=2).flatten(1),  # (B, M·W)
        )

    def _distributions(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if not self.latents:
            return features[..., :0], features[..., :0]
        each = [latent(features[:, m]) for m, latent in enumerate(self.latents)]
        return torch.stack([m for m, _ in each], dim=1), torch.stack([v for _, v in each], dim=1)


class Unimodal(nn.Module):
    """One modality: its rows see each other, then each label looks for its own among them.

    Rows have no positions (ours): their order counts as far as the encoders before took it in. A
    learned row in front stands for nothing, so that an absent modality is defined.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, size: LdduSize, width: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.inlet = nn.Linear(width, size.width)
        self.nothing = nn.Parameter(torch.randn(size.width))
        layer = nn.TransformerEncoderLayer(
            size.width,
            size.heads,
            size.feed_forward,
            size.dropout,
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(size.width)
        self.encoder = nn.TransformerEncoder(layer, size.layers, norm, enable_nested_tensor=False)
        self.look = nn.MultiheadAttention(size.width, size.heads, size.dropout, batch_first=True)
        self.norm = nn.LayerNorm(size.width)

    def forward(self, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (L, W) → features (B, L, W), which samples have the modality (B,)."""
        padding = (rows == 0).all(dim=2)  # (B, T)
        told = self.inlet((rows - self.centre) / self.scale)  # (B, T, W)
        nothing = self.nothing.expand(rows.shape[0], 1, -1)  # (B, 1, W)
        masked = pad(padding, (1, 0))  # (B, 1 + T)
        seen = self.encoder(torch.cat([nothing, told], dim=1), src_key_padding_mask=masked)
        asked = labels.expand(rows.shape[0], -1, -1)  # (B, L, W)
        found, _ = self.look(asked, seen, seen, key_padding_mask=masked, need_weights=False)
        return self.norm(found), ~padding.all(dim=1)


class Latent(nn.Module):
    """The normal distribution of each label in one modality: (B, L, W) → μ, log σ² (B, L, Z)."""

    def __init__(self, size: LdduSize) -> None:
        super().__init__()
        widths = [size.width, *size.hidden, size.latent]
        self.trunk = nn.Sequential(
            *(
                layer
                for before, after in pairwise(widths)
                for layer in (nn.Linear(before, after), nn.ReLU())
            )
        )
        self.mean = nn.Linear(size.latent, size.latent)
        self.log_variance = nn.Linear(size.latent, size.latent)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and log σ², the latter within ±8."""
        told = self.trunk(features)
        return self.mean(told), self.log_variance(told).clamp(-_LOG_VARIANCE, _LOG_VARIANCE)


class Together(nn.Module):
    """What all modalities say of all labels, seen at once (ours): (B, M, L, W) → logits (B, L).

    Where one modality contradicts the others, a sum of what each says cannot tell which is wrong.
    """

    def __init__(self, size: LdduSize, modalities: int, labels: int) -> None:
        super().__init__()
        self.inlet = nn.Linear(modalities * labels * size.width, size.together)
        self.between = nn.Linear(size.together, size.together)
        self.outlet = nn.Linear(size.together, labels)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return what is added to the logits of p_c."""
        seen = self.dropout(gelu(self.inlet(features.flatten(1))))
        told: Tensor = self.outlet(self.dropout(gelu(self.between(seen))))
        return told


class Readout(nn.Module):
    """A logistic regression for each of some places: (B, *places, F) → logits (B, *places)."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape) / shape[-1] ** 0.5)
        self.bias = nn.Parameter(torch.zeros(shape[:-1]))

    def forward(self, told: Tensor) -> Tensor:
        """Return a logit for each place, each from its own numbers."""
        return (told * self.weight).sum(dim=-1) + self.bias


def _joined(told: Tensor) -> Tensor:
    """(B, M, L, N) → (B, L, M·N): what all modalities say of each label."""
    return told.transpose(1, 2).flatten(2)
