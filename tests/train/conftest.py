"""Real data where there are some, tiny data otherwise."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.labels import EMOTIONS
from tests.train.tiny import recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Give the folder of real data, or skip."""
    folder = Path(os.environ.get("CREDENCE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "face").is_dir():
        pytest.skip(f"no real data in {folder}; set CREDENCE_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def some_voices(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a part of the voices: every seventh file."""
    folder = tmp_path_factory.mktemp("some")
    for corpus in ("ravdess", "emodb"):
        (folder / "voice" / corpus).mkdir(parents=True)
        for path in sorted((corpora / "voice" / corpus).glob("*.flac"))[::7]:
            (folder / "voice" / corpus / path.name).symlink_to(path.resolve())
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with `faces.csv`: 70 pictures of stripes, whose direction is the emotion."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    grid = np.moveaxis(np.indices((48, 48)), 0, -1)
    lines, images = ["path,label,group"], []
    for i in range(70):
        angle = np.pi * (i % 7) / 7
        waves = 60 * np.sin(grid @ [np.cos(angle), np.sin(angle)]) + rng.normal(0, 10, (48, 48))
        images.append((128 + waves).clip(0, 255).astype(np.uint8))
        lines.append(f"npz:faces.npz#{i},{EMOTIONS[i % 7]},{i // 7}")
    np.savez(folder / "faces.npz", images=np.stack(images))
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a finished run of `tests.train.tiny.recipe`."""
    from train.fit import fit

    folder = tmp_path_factory.mktemp("runs") / "run"
    fit(recipe(), tiny, folder, device="cpu")
    return folder


@pytest.fixture(scope="session")
def bundle(run: Path) -> Path:
    """Give its bundle."""
    from train.export import export

    export(run, run.parent / "bundle")
    return run.parent / "bundle"
