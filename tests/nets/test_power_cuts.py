"""What the manifest names is on the disk before it is named, and any power cut leaves a run."""

import dataclasses
import random
import warnings

import numpy as np
import pytest

from grokode import nets
from grokode.nets.runs.manifest import Manifest
from grokode.nets.training.config import TrainingConfig
from tests.nets.power import Disk, Recorder

SHARE = 0.03
"""Of the calls after which the power is cut; `make attack` takes them all."""

SMALL = TrainingConfig(
    p=5, neurons=3, dtype="float64", steps=20, checkpoint_every=10, log_every=5, scale=0.5,
    log_grid=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Every call of a training, of its resume and of its end, with chunks of three steps."""
    root = tmp_path_factory.mktemp("power")
    recorder = Recorder(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grokode.nets.runs.store.os", recorder)
        # One after the other; side by side they are in no order to record.
        patch.setattr("grokode.nets.runs.store.sync_all", _in_turn(recorder))
        patch.setattr("grokode.nets.runs.output.sync_all", _in_turn(recorder))
        patch.setattr("grokode.nets.runs.layout._METRICS_BYTES", 3 * 16)
        patch.setattr("grokode.nets.runs.layout._GRID_BYTES", 3 * 50)
        recorder.calls.append(("mkdir", root / "run"))
        recorder.calls.append(("sync", root))
        nets.train(SMALL, root / "run", seeds=[0, 2])
        longer = dataclasses.replace(SMALL, steps=30)
        run = nets.train(longer, root / "run", seeds=[0, 2], resume=True)
        yield root, recorder.calls, run


def _in_turn(recorder):
    def sync_all(handles, folders=()):
        for handle in handles:
            recorder.fsync(handle)
            recorder.close(handle)
        for folder in folders:
            folder.sync()

    return sync_all


def named(root):
    """Every file that the manifest of a run names."""
    manifest = Manifest.read(root)
    for name, plan in manifest.plans.items():
        for key, _ in zip(plan.keys(10**6), manifest.chunks[name], strict=False):
            yield root / "arrays.zarr" / name / key
        yield root / "arrays.zarr" / name / "zarr.json"
    for plan, digests in manifest.header.data.values():
        folder = root / "arrays.zarr" / plan.path
        yield from (folder / plan.key(block) for block in range(len(digests)))
    yield root / f"tail-{len(manifest.logged)}.bin"
    yield root / f"state-{manifest.steps[-1]}.pth"
    yield root / "journal.jsonl"


def test_what_the_manifest_names_is_durable_before_its_rename(recorded, tmp_path):
    root, calls, _ = recorded
    disk, seen = Disk(root), 0
    for number, call in enumerate(calls):
        disk.do(call)
        if call[0] == "rename" and call[2] == root / "run" / "run.json":
            disk.image(tmp_path / f"{number}", lambda: True)
            for file in named(tmp_path / f"{number}" / "run"):
                own = root / file.relative_to(tmp_path / f"{number}")
                if own.suffix == ".bin" and not file.exists():
                    continue  # every logged step is in a full chunk
                assert not disk.unsynced(own), f"{own} is named before it is durable"
                seen += 1
            # The manifest itself: its content before the rename, its name right after.
            assert disk.is_durable(root / "run" / "run.json")
            assert calls[number + 1] == ("sync", root / "run")
    assert seen > 50, "too little was named to test anything"


@pytest.mark.parametrize("kind", ["nothing", "names", "some"])
def test_every_power_cut_leaves_a_whole_run_or_none(recorded, tmp_path, kind):
    """Cut after every call; of what was not synced there is left nothing, the names, or some."""
    root, calls, whole = recorded
    disk, opened, begun, draw = Disk(root), 0, -1, random.Random(0)
    for number, call in enumerate(calls):
        disk.do(call)
        # Always at a manifest's rename, and at a part of the others: each image takes a while.
        manifest = call[0] == "rename" and call[2].name == "run.json"
        if not manifest and draw.random() > SHARE:
            continue
        image = tmp_path / f"{number}"
        chance = {
            "nothing": lambda: False,
            "names": None,
            "some": lambda: draw.random() < 0.5,
        }[kind]
        if chance is None:
            disk.image_of_names(image)
        else:
            disk.image(image, chance)
        path = image / "run"
        if not (path / "run.json").exists():
            assert begun < 0, "a run that was there is gone"
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run = nets.open_run(path)
        run.check_files()
        steps = run.weights.step.values
        assert len(steps) >= begun, "a published checkpoint is gone"
        begun = len(steps)
        opened += 1
        theta = whole.weights.theta.isel(step=slice(begun))
        np.testing.assert_array_equal(run.weights.theta, theta)
        rows = slice(len(run.metrics.step))
        assert run.metrics.equals(whole.metrics.isel(step=rows))
        assert run.correct.equals(whole.correct.isel(step=rows))
    assert opened > 5
    assert begun == 4
