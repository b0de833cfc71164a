"""Commands killed anywhere in their course, then given again: the end is that of one whole run."""

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grokode.cli import main
from grokode.files import PARTIAL
from grokode.nets import TrainingConfig, open_run, train
from grokode.theory.streaming import stream_winners
from tests.checkpoints import write_checkpoints

STREAM: dict[str, Any] = {"p": 23, "neurons": 20_000, "scale": 0.1, "seed": 1, "chunk": 256}
FLAGS = ["--p", "5", "--neurons", "6", "--steps", "1000"]
FLAGS += ["--checkpoint-every", "50", "--log-every", "10"]


@dataclass(frozen=True)
class Job:
    """A command, the same that goes on after a kill, and what tells whether its end is right.

    What `done` finds is whole, though the process that made it was killed on its last steps.
    """

    first: Any
    again: Any
    result: Any
    done: Any = Path.exists
    ends: tuple[int, ...] = (0,)


def command(*words):
    def call(source, out):
        sys.argv = ["grokode", *(word.format(source=source, out=out) for word in words)]
        main()

    return call


def stream(resume):
    return lambda source, out: stream_winners(out=out, resume=resume and out.exists(), **STREAM)


def weights(out):
    run = open_run(out)
    return [np.array(run.weights.step), *(run.weights[name].values for name in ("theta", "xi"))]


def archive(out):
    with np.load(out) as stored:
        return [stored[name] for name in sorted(stored)]


def arrays(out):
    won = stream_winners(out=out, resume=True, **STREAM).load()
    return [won.winner.values, won.blowup_time.values]


def demo(out):
    page = (out / "report.html").read_text()
    # The page says how long training took, and where it lies.
    return [
        *weights(out / "run"),
        np.array(page.count("<svg")),
        np.array(page.endswith("</html>\n")),
    ]


_TRAIN = command("train", *FLAGS, "--out", "{out}")
_RESUME = command("train", *FLAGS, "--out", "{out}", "--resume")
_NEVER = lambda out: False  # noqa: E731 (goes on with whatever is there)
_DEMO = command("demo", "--p", "5", "--neurons", "6", "--out", "{out}")
JOBS = {
    "train": Job(_TRAIN, _RESUME, weights, done=_NEVER),
    "import": Job(*2 * [command("import", "{source}", "--out", "{out}")], weights),
    "stream": Job(stream(False), stream(True), arrays, done=_NEVER),
    "export": Job(*2 * [command("export", "{source}", "--out", "{out}")], archive),
    "report": Job(
        *2 * [command("report", "{source}", "--out", "{out}")],
        lambda out: [np.array(out.read_text())],
    ),
    "demo": Job(_DEMO, _DEMO, demo, done=lambda out: (out / "report.html").exists(), ends=(0, 1)),
}
ENDINGS = {"export": ".npz", "report": ".html"}


def source_of(name: str, folder: Path) -> Path:
    """What a job reads."""
    if name == "import":
        source = folder / "p_5_dmlp_6_Quad_random_scale_0.1_decay_0"
        return write_checkpoints(source)
    run = folder / "source"
    if name in ("export", "report"):
        train(TrainingConfig(p=5, neurons=6, steps=20, checkpoint_every=5, log_every=5), run)
    return run


def attack(name: str, kills: int, folder: Path, seed: int = 0) -> int:
    """Kill a job that often, finishing it in between; returns how often a kill met it at work."""
    job, dice, met = JOBS[name], random.Random(seed), 0
    source = source_of(name, folder)
    for turn in range(2):  # the first also fills numba's cache, so the second is timed
        whole = folder / f"whole{turn}{ENDINGS.get(name, '')}"
        begun = time.monotonic()
        assert ended(started(job.first, source, whole)) in job.ends
        lasts = time.monotonic() - begun
    expected = job.result(whole)
    done, number = 0, 0
    while done < kills:
        out = folder / f"{number}{ENDINGS.get(name, '')}"
        number += 1
        call = job.first
        for _ in range(3):  # killed up to three times on its way
            child = started(call, source, out)
            time.sleep(dice.uniform(0, lasts))
            os.kill(child, signal.SIGKILL)
            code = ended(child)
            done, met = done + 1, met + (code == -signal.SIGKILL)
            if code in job.ends or job.done(out):
                break
            call = job.again if out.exists() else job.first
        else:
            assert ended(started(call, source, out)) in job.ends, f"{out} could not go on"
        for one, two in zip(job.result(out), expected, strict=True):
            np.testing.assert_array_equal(one, two)
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert all(name.endswith(PARTIAL) for name in left), left
    return met


def started(call: Any, source: Path, out: Path) -> int:
    """A forked child, which has everything loaded already, at work."""
    child = os.fork()
    if child:
        return child
    code = 2
    try:
        # What a shell starts in the background ignores Ctrl-C, and so do its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nothing, stream)
        sys.stdout, sys.stderr = (open(stream, "w") for stream in (1, 2))  # noqa: SIM115
        call(source, out)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
