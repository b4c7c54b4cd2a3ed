"""A first policy for a set of engines: reliabilities as measured, nothing certified."""

from pathlib import Path

from engines.engine import Engine, open_engine
from engines.fusion import Rule
from engines.manifest import BrokenBundleError, PolicyManifest, sha256, write_manifest
from train.bundle import ExportError, replacing
from train.card import licence_of, policy_card


def write_policy(engines: list[Path], output: Path) -> None:
    """Write the policy of engines of different kinds: Dempster's rule, no threshold.

    Raises ExportError for two of one kind, BrokenBundleError for one without figures.
    """
    opened = {engine.manifest.kind: engine for engine in map(open_engine, engines)}
    if len(opened) < len(engines):
        raise ExportError(output, "two engines are of the same kind; name one of each")
    manifest = PolicyManifest(
        format=1,
        kind="policy",
        name="uncertified",
        engines={kind: engine.hash for kind, engine in opened.items()},
        rule=Rule.DEMPSTER,
        reliability={kind: round(_accuracy(engine), 4) for kind, engine in opened.items()},
        thresholds={},
        licence=licence_of({kind: e.manifest.licence for kind, e in opened.items()}),
        files={},
    )
    with replacing(output, "policy") as folder:
        card = folder / "MODEL_CARD.md"
        card.write_text(policy_card(manifest), encoding="utf-8")
        write_manifest(folder, manifest.model_copy(update={"files": {card.name: sha256(card)}}))


def _accuracy(engine: Engine) -> float:
    """Return the accuracy on all validation people of an engine's corpora together."""
    training = engine.manifest.training
    names = training.recipe.get("data")
    try:
        parts = [training.metrics[str(name)] for name in names]  # type: ignore[attr-defined]
        right = sum((part["accuracy"] or 0.0) * (part["n"] or 0.0) for part in parts)
        return right / sum(part["n"] or 0.0 for part in parts)
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise BrokenBundleError(
            engine.path, "has no figures to be trusted by; export it again"
        ) from error
