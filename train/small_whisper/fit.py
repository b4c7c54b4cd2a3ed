"""Training the network: short inputs first, which is quick, full ones at the end."""

from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperForConditionalGeneration

from train.small_whisper.takes import Batch, Take, batches, steps
from train.small_whisper.words import LETTERS, Words


def fit(takes: list[Take], words: Words, epochs: int, width: int) -> Any:
    """Return a trained `WhisperForConditionalGeneration`."""
    rng = np.random.default_rng(0)
    whisper = network(words, width)
    letters = nn.Linear(width, len(LETTERS) + 1)  # teaches the encoder to spell; not exported
    parameters = [p for p in (*whisper.parameters(), *letters.parameters()) if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=2e-3, total_steps=epochs * steps(takes), pct_start=0.2
    )
    # What pads an input to Whisper's 30 s has to be learnt, too.
    lengths_s = [3.5] * (epochs - 2) + [8.0, 30.0]
    for epoch, length_s in enumerate(track(lengths_s, "Training", console=Console(stderr=True)), 1):
        losses = []
        for batch in batches(takes, words, length_s, rng):
            said, spelt = _losses(whisper, letters, batch)
            optimiser.zero_grad()
            (said + 0.3 * spelt).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            losses.append((said.item(), spelt.item()))
        said_mean, spelt_mean = np.mean(losses, axis=0)
        print(f"epoch {epoch}: words {said_mean:.4f}, letters {spelt_mean:.4f}", flush=True)
    return whisper.eval()


def network(words: Words, width: int) -> Any:
    """Return Whisper's architecture, small, for a vocabulary."""
    config = WhisperConfig(
        vocab_size=words.size,
        num_mel_bins=80,
        d_model=width,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=4 * width,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=2 * width,
        dropout=0.1,
        decoder_start_token_id=words.start,
        pad_token_id=words.end,
        bos_token_id=words.start,
        eos_token_id=words.end,
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    whisper = WhisperForConditionalGeneration(config)
    whisper.generation_config.suppress_tokens = []
    whisper.generation_config.begin_suppress_tokens = [words.blank, words.end]
    whisper.generation_config.lang_to_id = {"<|en|>": words.english}
    whisper.generation_config.alignment_heads = [[1, 0], [1, 1]]
    return whisper.train()


def _losses(whisper: Any, letters: nn.Linear, batch: Batch) -> tuple[Tensor, Tensor]:
    heard = _encode(whisper.model.encoder, _masked(batch.mel))  # (B, positions, width)
    said = whisper(encoder_outputs=(heard,), decoder_input_ids=batch.given).logits
    spelt = letters(heard).log_softmax(-1).transpose(0, 1)  # (positions, B, letters)
    return (
        nn.functional.cross_entropy(said.flatten(0, 1), batch.wanted.flatten()),
        nn.functional.ctc_loss(
            spelt,
            batch.letters,
            batch.heard,
            batch.letter_counts,
            blank=len(LETTERS),
            zero_infinity=True,
        ),
    )


def _encode(encoder: Any, mel: Tensor) -> Tensor:
    """Run the encoder on inputs shorter than 30 s, too, which its own `forward` refuses."""
    hidden = nn.functional.gelu(encoder.conv1(mel))
    hidden = nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)  # (B, positions, width)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    for layer in encoder.layers:
        hidden = layer(hidden, None)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    normal: Tensor = encoder.layer_norm(hidden)
    return normal


def _masked(mel: Tensor) -> Tensor:
    """Hide a band and a moment of each input (B, 80, frames): none may be leant on alone."""
    mel = mel.clone()
    for row in mel:
        low, first = torch.randint(0, 72, ()), torch.randint(0, 250, ())
        row[low : low + torch.randint(0, 12, ())] = 0.0
        row[:, first : first + torch.randint(0, 25, ())] = 0.0
    return mel
