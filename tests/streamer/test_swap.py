"""What is asked for is opened and checked beside what runs; what cannot judge changes nothing."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from engines.engine import Engine, open_engine
from engines.manifest import MODEL, Modality
from engines.runtime import Batch, Outputs, Runtime
from streamer.config import Engines
from streamer.ensemble import Panel, open_ensemble
from streamer.swap import Answer, Swapper, SwapRefusedError, Wanted
from streamer.wire import UnreadableError
from tests.engines.bundle import write_bundle
from tests.streamer.bundles import deceptive, policy_for, variant
from tests.streamer.test_ensemble import judge, seen


@pytest.fixture
def panel() -> Panel:
    return Panel(open_ensemble(Engines()))


async def answered(panel: Panel, **wanted: str | Path) -> Answer:
    swapper = Swapper(panel, trial_s=0.01)
    asked = Wanted.model_validate({kind: str(choice) for kind, choice in wanted.items()})
    answer = await swapper.swap(lambda: asked)
    swapper.close()
    return answer


async def test_a_new_engine_needs_a_policy_that_was_fitted_with_it(
    panel: Panel, tmp_path: Path
) -> None:
    old = panel.sitting
    face = await asyncio.to_thread(variant, tmp_path / "face", "face", name="other")
    alone = await answered(panel, face=tmp_path / "face")
    assert (alone.outcome, panel.sitting) == ("refused", old)
    assert alone.sentence == (
        f"the policy that runs was fitted with face engine {old.hashes['face']}, not {face};"
        " also give a policy fitted with it, or none to trust nothing; nothing was swapped"
    )
    policy = await asyncio.to_thread(policy_for, tmp_path / "policy", face=face)
    both = await answered(panel, face=tmp_path / "face", policy=tmp_path / "policy")
    assert both.outcome == "on trial"
    assert "on trial until there is something to judge: face" in both.sentence
    assert (both.before.engines, both.now.engines) == (old.hashes, {**old.hashes, "face": face})
    assert both.now.policy == policy == panel.sitting.policy.hash
    assert panel.sitting.engines["voice"] is old.engines["voice"]  # not opened again
    wrong = await answered(panel, face="shipped", policy=tmp_path / "policy")
    assert "policy was fitted with face engine" in wrong.sentence


async def test_an_engine_may_be_left_out_or_go_untrusted(panel: Panel, tmp_path: Path) -> None:
    voice = await asyncio.to_thread(variant, tmp_path / "v", "voice", name="other")
    without = await answered(panel, voice="none")
    assert without.outcome == "swapped"
    assert set(without.now.engines) == {"face", "text"}
    untrusted = await answered(panel, voice=tmp_path / "v", policy="none")
    assert untrusted.now.engines["voice"] == voice
    assert untrusted.now.policy == "none"


async def test_what_runs_already_is_not_swapped(panel: Panel) -> None:
    old = panel.sitting
    asked: tuple[dict[str, str], ...] = (
        {},
        {"face": "shipped"},
        {"policy": "shipped", "text": "shipped"},
    )
    for wanted in asked:
        answer = await answered(panel, **wanted)
        assert answer.outcome == "unchanged"
        assert answer.sentence.startswith("nothing to swap, these judge already: face ")
        assert answer.now.engines == old.hashes
        assert panel.sitting is old


class Rough:
    """A runtime that rounds."""

    name, batches = "rough", True

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __call__(self, batch: Batch) -> Outputs:
        made = self._runtime(batch)
        return {**made, "evidence": made["evidence"] * 1.1}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


async def test_what_cannot_judge_is_refused_in_a_sentence(panel: Panel, tmp_path: Path) -> None:
    def prepare() -> None:
        write_bundle(tmp_path / "voice", kind="voice", preprocessing="voice-1")
        write_bundle(tmp_path / "before", preprocessing="face-0")
        cut(write_bundle(tmp_path / "cut") / MODEL)
        write_bundle(tmp_path / "other")
        write_bundle(tmp_path / "wrong").joinpath("reference.npz").unlink()
        (tmp_path / "empty").mkdir()

    await asyncio.to_thread(prepare)
    old = panel.sitting
    for name, why in {
        "voice": "this is a voice bundle, where face is wanted",
        "before": "built for preprocessing face-0, this code runs face-1",
        "cut": "model.onnx was changed or cut short",
        "wrong": "reference.npz is missing",
        "empty": "no readable engine.json",
        "nowhere": "no readable engine.json",
    }.items():
        answer = await answered(panel, face=tmp_path / name, policy="none")
        assert answer.outcome == "refused"
        assert answer.sentence.startswith(f"{name}: {why}")
        assert answer.sentence.endswith("; nothing was swapped")
        assert str(tmp_path) not in answer.sentence
        assert answer.before == answer.now
        assert panel.sitting is old


@pytest.mark.parametrize("path", ["", "/models/a\0b"])
async def test_what_no_folder_can_be_called_is_refused(panel: Panel, path: str) -> None:
    swapper, asked = Swapper(panel), json.dumps({"face": path}).encode()
    answer = await swapper.swap(lambda: Wanted.parse(asked))
    swapper.close()
    assert answer.sentence == (
        "this cannot be read (face: must name a file or folder); nothing was swapped"
    )


async def test_where_nothing_judges_the_answer_says_so(panel: Panel) -> None:
    for outcome in ("swapped", "unchanged"):
        answer = await answered(panel, face="none", voice="none", text="none")
        assert answer.outcome == outcome
        assert answer.sentence.endswith("nothing judges, as every engine is none")


async def test_new_engines_run_on_the_nodes_device_and_are_checked_on_the_portable_one(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def rough(device: str, folder: Path, kind: Modality) -> Engine:
        """As half precision is: further from the reference than the portable runtime may be."""
        asked.append(f"{device} {kind}")
        engine = open_engine(folder, kind)
        return replace(engine, runtime=Rough(engine.runtime))

    panel.device = "cuda:0"
    monkeypatch.setattr("streamer.swap.open_on", rough)
    await asyncio.to_thread(variant, tmp_path / "face", "face", name="other")
    refused = await answered(panel, face=tmp_path / "face")
    assert (refused.outcome, asked) == ("refused", [])  # no plan is built in vain
    answer = await answered(panel, face=tmp_path / "face", policy="none")
    assert (answer.outcome, asked) == ("on trial", ["cuda:0 face"])
    assert isinstance(panel.sitting.engines["face"].runtime, Rough)


async def test_a_bundle_that_changes_while_its_plan_is_built_is_refused(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(_: str, folder: Path, kind: Modality) -> Engine:
        return replace(open_engine(folder, kind), hash="another")

    panel.device, old = "cuda:0", panel.sitting
    monkeypatch.setattr("streamer.swap.open_on", changed)
    await asyncio.to_thread(variant, tmp_path / "face", "face", name="other")
    answer = await answered(panel, face=tmp_path / "face", policy="none")
    assert answer.sentence == "face was changed meanwhile; ask again; nothing was swapped"
    assert panel.sitting is old


async def test_a_bug_is_answered_and_logged(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("streamer.swap.open_engine", lambda *_: 1 / 0)
    answer = await answered(panel, face="shipped")
    assert answer.outcome == "refused"
    assert answer.sentence.startswith("unexpected: ZeroDivisionError, see the node's log;")
    assert "engines could not be swapped" in capsys.readouterr().out


async def test_an_engine_that_deceived_its_reference_is_taken_back(
    panel: Panel, tmp_path: Path
) -> None:
    old = panel.sitting
    late: list[Answer] = []
    await asyncio.to_thread(deceptive, tmp_path / "face", "face")
    swapper = Swapper(panel, late.append, trial_s=0.01)
    wanted = Wanted(face=str(tmp_path / "face"), policy="none")
    answer = await swapper.swap(lambda: wanted)
    assert answer.outcome == "on trial"
    (judged,) = await judge(panel, seen())
    assert judged.ensemble is panel.sitting is old
    assert [each.outcome for each in late] == ["on trial", "taken back"]
    assert late[-1].now == answer.before
    assert "were taken back: face: its network gives nonsense" in late[-1].sentence
    swapper.close()


async def test_the_answer_waits_until_all_have_judged(panel: Panel, tmp_path: Path) -> None:
    await asyncio.to_thread(variant, tmp_path / "face", "face", name="other")
    swapper = Swapper(panel, trial_s=30)
    wanted = Wanted(face=str(tmp_path / "face"), policy="none")
    swapping = asyncio.create_task(swapper.swap(lambda: wanted))
    for _ in range(500):
        await asyncio.sleep(0.01)
        if panel.sitting.policy.hash == "none":
            break
    assert not swapping.done()
    await judge(panel, seen())
    assert (await swapping).outcome == "swapped"
    swapper.close()


def test_a_broker_can_name_only_bundles_of_the_folder(tmp_path: Path) -> None:
    wanted = Wanted.parse(b'{"face": "face-2", "voice": "none", "policy": "shipped"}')
    assert wanted.within(tmp_path).choices() == {
        "face": str(tmp_path / "face-2"),
        "voice": "none",
        "policy": "shipped",
    }
    for name in ("/etc", "..", "a/b", ".hidden", "~", "a\\b", "a\nb", "é"):
        with pytest.raises(SwapRefusedError, match=r"plain name of a bundle in mqtt\.swap"):
            Wanted(face=name).within(tmp_path)


def test_what_cannot_be_read_is_said() -> None:
    for payload, why in {
        b"": "invalid json",
        b"[1]": "input should be an object",
        b'{"fase": "x"}': "fase: extra inputs are not permitted",
        b'{"face": 1}': "face: input should be a valid string",
        b"\xff{}": "invalid json",
        b"[" * 10_000: "invalid json",
    }.items():
        with pytest.raises(UnreadableError, match=rf"cannot be read \({why}"):
            Wanted.parse(payload)
