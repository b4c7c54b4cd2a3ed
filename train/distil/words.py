"""What the teacher knows of single words, as a table of hashed pieces for a student to begin with.

A word's vector (ours): the teacher's own for its letters beside the mean of its states when it
reads the word alone, in the W directions in which words differ most.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engines.preprocess import text

if TYPE_CHECKING:  # the rest needs no teacher
    from train.distil.teacher import Teacher

_STEPS = 400
_BATCH = 4096
_RATE = 0.03
_UNSEEN = 0.3
"""How often a word counts that the teacher knows and the data lack."""
_SPREAD = 0.5
"""Root mean square of the vectors' numbers."""

Array = npt.NDArray[np.float32]


def table(teacher: "Teacher", texts: Sequence[str], width: int) -> Array:
    """Return the table (32768, W) whose pieces sum to the words' vectors, as near as it can."""
    count = Counter(word for said in texts for word in text.words(said))
    known = [word for word in teacher.tokenizer.get_vocab() if word.isascii() and word.isalpha()]
    words = sorted({*count, *known})
    weight = np.sqrt([count[word] + _UNSEEN for word in words]).astype(np.float32)
    return hashed(words, narrow(_vectors(teacher, words), weight, width), weight)


@torch.inference_mode()
def _vectors(teacher: "Teacher", words: list[str]) -> tuple[Array, Array]:
    """Return for every word its pieces' mean vector and the mean state of reading it (N, 384)."""
    vectors = teacher.encoder.embeddings.word_embeddings.weight
    letters, states = (np.zeros((len(words), vectors.shape[1]), np.float32) for _ in range(2))
    order = np.argsort([len(word) for word in words], kind="stable")
    for batch in np.array_split(order, -(-len(order) // 256)):
        pieces, seen = teacher.read([words[i] for i in batch])
        inner = pieces["attention_mask"].cumsum(1) * pieces["attention_mask"]
        inner = ((inner > 1) & (inner < inner.amax(1, keepdim=True))).float()[:, :, None]
        letters[batch] = (
            (vectors[pieces["input_ids"]] * inner).sum(1) / inner.sum(1).clamp(min=1)
        ).numpy()
        states[batch] = seen.numpy()
    return letters, states


def narrow(vectors: tuple[Array, Array], weight: Array, width: int) -> Array:
    """Return the first principal components (N, W) of vectors side by side."""
    share = (weight / weight.sum())[:, None]
    parts = [part - (part * share).sum(axis=0) for part in vectors]
    parts = [part / np.sqrt((part**2 * share).sum(axis=0).mean()) for part in parts]
    beside = np.concatenate(parts, axis=1)
    axes = np.linalg.eigh((beside * share).T @ beside)[1][:, ::-1][:, :width]
    narrow = beside @ axes
    scaled: Array = narrow * (_SPREAD / np.sqrt((narrow**2 * share).sum(axis=0).mean()))
    return scaled


def hashed(words: list[str], vectors: Array, weight: Array) -> Array:
    """Fit a table by which the sum of a word's pieces, over the root of their number, is close."""
    torch.manual_seed(0)
    # The first piece is the pair with the word before, which a word alone lacks.
    alone = text.buckets(words).reshape(-1, text.PIECES)[:, 1:]
    pieces = torch.from_numpy(alone[alone[:, 0] > 0])
    number = ((pieces > 0).sum(dim=1, keepdim=True) + 1).sqrt()
    wanted, often = torch.from_numpy(vectors), torch.from_numpy(weight)
    bag = nn.EmbeddingBag(text.BUCKETS, vectors.shape[1], mode="sum", padding_idx=0)
    nn.init.zeros_(bag.weight)
    optimiser = torch.optim.Adam(bag.parameters(), lr=_RATE)
    fade = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, _STEPS)
    for _ in range(_STEPS):
        some = torch.multinomial(often, _BATCH, replacement=True)
        loss = _apart(bag, pieces[some], number[some], wanted[some])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        fade.step()
    found: Array = bag.weight.detach().numpy()
    return found


def _apart(bag: nn.EmbeddingBag, pieces: Tensor, number: Tensor, wanted: Tensor) -> Tensor:
    apart: Tensor = bag(pieces) / number - wanted
    return (apart**2).mean()
