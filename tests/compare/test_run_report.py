"""The report: one page that opens offline, for runs that went well and runs that did not."""

import dataclasses
import re
import shutil
import subprocess

import numpy as np
import pytest

from grokode import nets
from grokode.compare.alignment.claims import judge_scores
from grokode.compare.alignment.statistics import score_statistics
from grokode.compare.common.claims import Claim
from grokode.compare.grokking.claims import judge_stages
from grokode.compare.grokking.stages import stages
from grokode.compare.page.report import parts, report
from grokode.nets.runs import RunWriter
from grokode.nets.runs.layout import expected
from tests.checkpoints import write_checkpoints

CONFIG = nets.TrainingConfig(
    p=7, neurons=12, dtype="float64", steps=60, checkpoint_every=20, log_every=10, scale=0.1
)


@pytest.fixture(scope="module")
def page(small_run, tmp_path_factory):
    """The page of a run that learned."""
    done = []
    out = report([small_run], tmp_path_factory.mktemp("page") / "report.html", done.append)
    assert done == parts()
    return out


def test_the_page_needs_nothing_but_itself(page):
    text = page.read_text()
    # Names of XML namespaces are not fetched, and pictures lie inside as data.
    outward = re.sub(r'xmlns(:\w+)?="[^"]+"|<!DOCTYPE[^>]+>', "", text)
    assert not re.search(r'(src|href)="(?!#|data:)[^"]*"|url\((?!#)|@import|<script', outward)
    assert text.count("<svg") >= 10
    for words in ("Which claims hold", "Proposition 1", "Observations 1 to 4", "holds"):
        assert words in text
    # Of a run without test pairs there is no test loss to tell.
    assert ">nan<" not in text


def test_every_letter_of_a_page_can_be_read_on_paper(page):
    """Letters are drawn as outlines of 100 units to their size in points."""
    pictures = re.findall(r"<svg.*?</svg>", page.read_text(), re.DOTALL)
    assert len(pictures) >= 10
    for picture in pictures:
        inches = float(re.search(r'width="([\d.]+)pt"', picture)[1]) / 72
        sizes = [100 * float(one) for one in re.findall(r"scale\(([\d.]+) -[\d.]+\)", picture)]
        assert sizes
        assert min(sizes) * min(1, 7 / inches) >= 7 - 1e-3


def test_every_claim_has_its_number_and_threshold(page):
    text = page.read_text()
    table = text[text.index("Which claims hold") : text.index("The training")]
    assert table.count("<tr>") > 10
    assert "at least 0.9 (0.5)" in table


def test_a_page_is_never_overwritten(small_run, page):
    with pytest.raises(FileExistsError, match="not overwritten"):
        report([small_run], page)


def never_learned(folder):
    """Nothing was learned, and a checkpoint in the middle is spoilt."""
    config = dataclasses.replace(CONFIG, learning_rate=1e-9, train_fraction=0.8, steps=40)
    run = nets.train(config, folder / "never")
    spoilt = run.weights.isel(step=-1).load()
    layers = {name: spoilt[name].values[None] for name in ("theta", "xi")}
    nothing = {name: np.full_like(values, np.nan) for name, values in layers.items()}
    with RunWriter(run.path) as writer:
        writer.reopen(config)
        for step, values in ((60, nothing), (80, layers)):
            writer.checkpoint(step, [0], values)
        writer.publish([0], {}, 1.0)
    return nets.open_run(run.path)


def relu_at_another_p(folder):
    config = dataclasses.replace(
        CONFIG, p=11, activation="relu", optimizer="adamw", learning_rate=0.01, train_fraction=0.7
    )
    return nets.train(config, folder / "relu")


def one_checkpoint(folder):
    """A published directory with nothing but its end."""
    source = write_checkpoints(folder / "p_5_dmlp_6_Quad_random_scale_0.1_decay_0")
    run = nets.import_published(source, folder / "two")
    first = run.weights.isel(step=0)
    p = run.config.p
    data = {
        "inputs": nets.all_pairs(p),
        "answers": nets.all_pairs(p).sum(1)[None] % p,
        "train": np.arange(p * p)[None],
        "test": np.arange(p * p)[None],
    }
    with RunWriter(folder / "one") as writer:
        writer.create(run.config, [0], expected(run.config)[0], data, run.attrs)
        step = int(first.step)
        writer.checkpoint(step, [0], {name: first[name].values[None] for name in ("theta", "xi")})
        rows = np.stack([*run.metrics.to_dataarray().values], axis=-1)
        steps = run.metrics.step.values
        writer.log([0], [(at, row[None]) for at, row in zip(steps, rows, strict=True)])
        writer.publish([0], {}, 1.0)
    return nets.open_run(folder / "one")


def test_runs_that_went_wrong_get_their_page(tmp_path):
    runs = [make(tmp_path) for make in (never_learned, relu_at_another_p, one_checkpoint)]
    text = report(runs, tmp_path / "report.html").read_text()
    assert text.count("what the run is") == text.count("Which claims hold") == 3
    assert "not found" in text
    # A checkpoint of nothing but NaN is no damaged file.
    assert "damaged" not in text
    assert "a later one" in text


def test_a_run_of_several_seeds_has_to_say_which(tmp_path):
    runs = nets.train(CONFIG, tmp_path / "two", seeds=[0, 1])
    with pytest.raises(ValueError, match="select one of them"):
        report([runs], tmp_path / "refused.html")


def test_thresholds_work_both_ways():
    high, low = Claim("", "", 0.9, 0.5), Claim("", "", 0.1, 0.3)
    assert [high.judge(x).verdict for x in (0.95, 0.6, 0.2)] == [
        "holds",
        "holds partly",
        "does not hold here",
    ]
    assert [low.judge(x).verdict for x in (0.05, 0.2, 0.6)] == [
        "holds",
        "holds partly",
        "does not hold here",
    ]
    assert high.judge(float("nan")).verdict == "not measured"


@pytest.mark.parametrize("width", [1100, 390])
def test_the_page_in_a_browser(page, tmp_path, width):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium to open the page in")
    picture = tmp_path / "page.png"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},3000"]
    # The page as the browser's engine lays it out, and what it says of its own width.
    subprocess.run(
        [*command, f"--screenshot={picture}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=600,
    )
    import matplotlib.image

    pixels = matplotlib.image.imread(picture)[..., :3]
    assert pixels.shape[1] == width
    # Text and figures all the way down, not an empty page: some dark pixel in most stripes.
    stripes = np.array_split(pixels.min(axis=(1, 2)), 30)
    assert np.mean([stripe.min() < 0.5 for stripe in stripes]) > 0.9


def test_grokking_claims_are_about_pairs_held_out(tmp_path):
    """On a run that has memorised; one that trains on all pairs has no such claim to judge."""
    config = dataclasses.replace(
        CONFIG, train_fraction=0.6, learning_rate=0.5, scale=0.8, steps=800, checkpoint_every=20
    )
    run = nets.train(dataclasses.replace(config, log_every=20), tmp_path / "part")
    measured = stages(run)
    assert measured.memorised.step is not None
    verdicts = judge_stages(measured)
    test = run.metrics.test_accuracy
    share = measured.free_accuracy["mirrored"]
    at = float(test.sel(step=measured.memorised.step))
    assert verdicts[0].value == pytest.approx(abs(at - share), abs=1e-12)
    best = float(test.sel(step=slice(measured.memorised.step, None)).max())
    assert verdicts[1].value == pytest.approx(best, abs=1e-12)
    everything = nets.train(CONFIG, tmp_path / "all")
    judged = judge_stages(stages(everything)) + judge_scores(
        score_statistics(everything)["correlations"]
    )
    assert {verdict.verdict for verdict in judged} == {"not measured"}
