"""Long and wide trainings in flat memory: a million steps, 256 seeds."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.attack

SCRIPT = """
import sys
from grokode import nets

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

sizes = []
def on_step(step, loss, accuracy):
    sizes.append((step, resident()))

steps, seeds, every = map(int, sys.argv[2:])
config = nets.TrainingConfig(p=3, neurons=2, steps=steps, checkpoint_every=every, log_every=every)
nets.train(config, sys.argv[1], seeds=range(seeds), on_step=on_step)
settled = next(size for step, size in sizes if step >= steps // 10)
print(max(size for _, size in sizes) - settled)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc to read memory from")
@pytest.mark.parametrize(
    ("steps", "seeds", "every"),
    [(1_000_000, 1, 10_000), (20_000, 256, 500)],
    ids=["steps", "seeds"],
)
def test_memory_is_flat(steps, seeds, every, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "run", str(steps), str(seeds), str(every)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    # The caches of zarr and of the allocator settle within a few megabytes; a leak of one number
    # a step would be 8 MB for a million, of one tensor hundreds.
    assert int(done.stdout) < 8e6
