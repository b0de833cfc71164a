"""Four sweeps, each a file beside this one, trained into a folder, and what they say.

phase_diagram      grokking over training fraction and weight decay, p = 23
delay              the step of grokking against rate, decay and initial scale, and the published law
critical_fraction  the fraction of the pairs above which networks generalise, against p
ladder             winners named by every predictor over p and initial scale

A sweep is gone on with where it was left, and trains nothing once it is done. Seeds are repeated
measurements: intervals are 95% t intervals over them.

Run it: python examples/studies/sweeps.py --study phase_diagram --folder studies --out phases.png
        (20 to 40 minutes on one core; --workers 2 takes half)
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import statsmodels.api as sm
import xarray as xr
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from scipy import stats

from grokode import nets
from grokode.compare.common.events import generalised, memorised
from grokode.compare.common.style import AMBER, GREEN, NETWORK, SKY, THEORY, plain_log, save_figure
from grokode.compare.sweeps import numbers_of
from grokode.theory.predictors import PREDICTORS

PHASES = ("never fits", "memorises only", "groks", "generalises at once")
LATE = 2.0
"""A network groks if it generalises after this many times the steps in which it memorised."""


def events(run: nets.Run) -> dict[str, float]:
    """Steps at which a network has memorised and generalised, its norm there, and its phase."""
    if run.metrics.step[-1] < run.config.steps:
        raise ValueError("it is not trained to its end")
    steps = {"memorised": memorised(run).step, "generalised": generalised(run).step}
    norm = run.metrics.weight_norm**2
    row = {name: np.nan if step is None else float(step) for name, step in steps.items()}
    row |= {
        f"squared_norm_{name}": np.nan if step is None else float(norm.sel(step=step))
        for name, step in steps.items()
    }
    if steps["generalised"] is not None:
        late = steps["memorised"] is not None and row["generalised"] > LATE * row["memorised"]
        row["phase"] = 2.0 if late else 3.0
    else:
        row["phase"] = 0.0 if steps["memorised"] is None else 1.0
    return row


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half width of its 95% t interval; NaN are left out."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float(values.mean()) if len(values) else np.nan, np.nan
    return float(values.mean()), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def boundaries(phase: xr.DataArray) -> xr.DataArray:
    """Per seed, the fraction above which it generalises.

    Half way from the largest fraction at which it does not to the next one; NaN if it never does,
    or always, or if the phase that would decide is not known.
    """
    fractions = phase.train_fraction.values

    def of_one(phases: np.ndarray) -> float:
        others = np.flatnonzero(~(phases >= 2))  # it fails there, or has no phase
        if not len(others) or others[-1] + 1 == len(fractions) or np.isnan(phases[others[-1]]):
            return np.nan
        return float(fractions[others[-1] : others[-1] + 2].mean())

    return xr.apply_ufunc(of_one, phase, input_core_dims=[["train_fraction"]], vectorize=True)


def phase_diagram(result: nets.sweeps.SweepResult) -> Figure:
    """The commonest phase of the seeds that have one, and the boundary with its interval."""
    phase = result.dataset(events).phase
    seeds = phase.transpose("train_fraction", "weight_decay", "seed")
    common = stats.mode(seeds, axis=-1, nan_policy="omit").mode
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    ax = figure.subplots()
    colours = ListedColormap(["0.75", AMBER, NETWORK["color"], GREEN])
    image = ax.imshow(
        common,
        origin="lower",
        aspect="auto",
        cmap=colours,
        norm=BoundaryNorm(np.arange(5) - 0.5, 4),
    )
    fractions, decays = phase.train_fraction.values, phase.weight_decay.values
    ax.set_yticks(range(len(fractions)), [f"{fraction:g}" for fraction in fractions])
    ax.set_xticks(range(len(decays)), [f"{decay:g}" for decay in decays])
    ax.set(xlabel="weight decay", ylabel="training fraction")
    figure.colorbar(image, ax=ax, ticks=range(4)).ax.set_yticklabels(PHASES)
    print("decay: fraction above which it generalises, mean and 95% interval over seeds")
    at = []
    for of_decay in boundaries(phase).transpose("weight_decay", "seed"):
        mean, half = interval(of_decay.values)
        at.append((mean, half))
        known = int(of_decay.notnull().sum())
        print(f"    {float(of_decay.weight_decay):g}: {mean:.3f} ± {half:.3f} ({known} seeds)")
    means, halves = (np.interp(v, fractions, range(len(fractions))) for v in np.array(at).T)
    means = np.where(np.isnan(np.array(at)[:, 0]), np.nan, means)
    halves = np.array(at)[:, 1] / (fractions[1] - fractions[0])
    ax.errorbar(
        range(len(decays)), means, yerr=np.nan_to_num(halves), fmt="o", color="black", capsize=3
    )
    ax.set_ylim(-0.5, len(fractions) - 0.5)
    for name, number in zip(PHASES, range(4), strict=True):
        print(f"{name}: {int((phase == number).sum())} of {phase.size} networks")
    return figure


def delay(result: nets.sweeps.SweepResult) -> Figure:
    """Steps from memorising to generalising: exponents of rate, decay and scale, and the law."""
    rows = result.dataset(events).stack(network=("point", "seed"))
    steps = (rows.generalised - rows.memorised).where(rows.phase == 2)
    print(f"{int(steps.notnull().sum())} of {steps.size} networks grokked")
    rows = rows.where(steps > 0, drop=True)
    late = np.log((rows.generalised - rows.memorised).values)
    axes = {name: np.log(rows[name].values) for name in ("learning_rate", "weight_decay", "scale")}
    points = np.unique(rows.point.values, return_inverse=True)[1]
    exponents("delay", late, axes, points)
    folds = np.log((rows.squared_norm_memorised / rows.squared_norm_generalised).values)
    rate = np.exp(axes["learning_rate"] + axes["weight_decay"])
    print(f"the norm falls from memorising to generalising in {(folds > 0).mean():.0%} of them")
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    scales = np.exp(axes["scale"])
    image = left.scatter(1 / rate, np.exp(late), c=scales, norm="log", s=14)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="1 / (learning rate × weight decay)",
        ylabel="steps from memorising to generalising",
    )
    ends = np.array([(1 / rate).min(), (1 / rate).max()])
    middle = np.exp(np.median(late + np.log(rate)))
    left.plot(ends, middle * ends, **THEORY, label="the law's slope")
    left.legend()
    right.scatter(1 / rate, np.exp(folds / 2), c=scales, norm="log", s=14)
    right.axhline(1, color="0.5", linestyle=":")
    right.set(
        xscale="log",
        xlabel="1 / (learning rate × weight decay)",
        ylabel="norm at memorising / norm at generalising",
    )
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        plain_log(axis)
    figure.colorbar(image, ax=right, label="initial scale")
    if (folds > 0).sum() > 10:
        fell = folds > 0
        law = {"rate * decay": np.log(rate[fell]), "log norm ratio": np.log(folds[fell])}
        exponents("delay (the law: -1 and 1)", late[fell], law, points[fell])
    return figure


def exponents(
    what: str, values: np.ndarray, logs: dict[str, np.ndarray], clusters: np.ndarray | None = None
) -> np.ndarray:
    """Exponents of a power law by least squares in logarithms, with robust intervals; printed.

    Networks of one cluster, such as the seeds of a point, are not taken for independent.
    """
    model = sm.OLS(values, sm.add_constant(np.stack(list(logs.values()), -1)))
    if clusters is None:
        fit = model.fit(cov_type="HC3")
    else:
        fit = model.fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    print(f"{what}: R2 {fit.rsquared:.3f}, {len(values)} networks; exponents of")
    for name, value, (low, high) in zip(logs, fit.params[1:], fit.conf_int()[1:], strict=True):
        print(f"    {name}: {value:.2f} [{low:.2f}, {high:.2f}]")
    return np.asarray(fit.params[1:])


def critical_fraction(result: nets.sweeps.SweepResult) -> Figure:
    """Fewest pairs from which networks generalise, against p, beside p log p."""
    at = boundaries(result.dataset(events).phase).transpose("p", "seed")
    p = at.p.values.astype(float)
    print("p: critical fraction, pairs, pairs / (p log p); mean ± 95% interval over seeds")
    means, halves = np.array([interval(row.values) for row in at]).T
    counts = at.notnull().sum("seed").values
    for one, mean, half, known in zip(p, means, halves, counts, strict=True):
        unit = one * np.log(one)
        print(
            f"    {one:.0f}: {mean:.3f} ± {half:.3f}, {mean * one**2:.0f} ± {half * one**2:.0f}, "
            f"{mean * one**2 / unit:.2f} ± {half * one**2 / unit:.2f} ({known} seeds)"
        )
    each = at.stack(network=("p", "seed")).dropna("network")
    of_each = each.p.values.astype(float)
    pairs = each.values * of_each**2
    exponents("pairs", np.log(pairs), {"p": np.log(of_each)})
    exponents("pairs", np.log(pairs), {"p log p": np.log(of_each * np.log(of_each))})
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.errorbar(p, means * p**2, yerr=halves * p**2, fmt="o", color=NETWORK["color"], capsize=3)
    share = float(np.exp(np.mean(np.log(pairs / (of_each * np.log(of_each))))))
    ax.plot(p, share * p * np.log(p), **THEORY, label=f"{share:.2f} p log p")
    ax.plot(p, p**2, color="0.5", linestyle=":", label="all pairs, p²")
    ax.set(xlabel="p", ylabel="pairs above which networks generalise", xscale="log", yscale="log")
    ax.set_xticks(p, [f"{one:.0f}" for one in p])
    ax.xaxis.minorticks_off()
    plain_log(ax.yaxis)
    ax.legend()
    return figure


def plateau(run: nets.Run) -> dict[str, float]:
    """Step at which the training loss has halved."""
    loss = run.metrics.train_loss
    halved = np.flatnonzero(loss < loss[0] / 2)
    return {"plateau": float(loss.step[halved[0]]) if len(halved) else np.nan}


def ladder(result: nets.sweeps.SweepResult) -> Figure:
    """Accuracy of every predictor over p, a line to each scale, and the plateau's length."""
    asked = numbers_of(["lottery"])
    numbers = result.dataset(lambda run: asked(run) | plateau(run))
    of = {name: f"lottery/rules/{name}/accuracy" for name in PREDICTORS}
    names = [name for name in PREDICTORS if of[name] in numbers]
    figure = Figure(figsize=(11, 2.6 * -(-(len(names) + 1) // 3)), layout="constrained")
    axes = figure.subplots(-(-(len(names) + 1) // 3), 3, squeeze=False).ravel()
    drawn = [*names, "plateau"]
    for ax in axes[len(drawn) :]:
        ax.set_axis_off()
    for ax, name in zip(axes, drawn, strict=False):
        values = numbers[of.get(name, name)]
        print(name)
        for scale, colour in zip(values.scale.values, (SKY, NETWORK["color"], AMBER), strict=False):
            of_scale = values.sel(scale=scale).transpose("p", "seed")
            mean, half = np.array([interval(row.values) for row in of_scale]).T
            ax.errorbar(of_scale.p, mean, yerr=half, color=colour, label=f"scale {scale:g}")
            shown = zip(of_scale.p.values, mean, half, strict=True)
            line = ", ".join(f"p {p}: {m:.3f} ± {h:.3f}" for p, m, h in shown)
            print(f"    scale {scale:g}: {line}")
        ax.set(title=name.replace("_", " "), xlabel="p")
        ax.set_ylabel("loss halved at step" if name == "plateau" else "winners named")
        ax.set_ylim(0, None if name == "plateau" else 1.03)
    axes[0].legend()
    return figure


STUDIES: dict[str, Callable[[nets.sweeps.SweepResult], Figure]] = {
    "phase_diagram": phase_diagram,
    "delay": delay,
    "critical_fraction": critical_fraction,
    "ladder": ladder,
}


def main(out: Path, study: str = "phase_diagram", folder: Path = Path("studies"), workers: int = 1):
    """Train what is missing of a study, and draw what it says."""
    sweep = nets.read_sweep(Path(__file__).with_name("sweeps") / f"{study}.toml")
    ended = nets.run_sweep(
        sweep,
        folder / study,
        workers=workers,
        on_progress=lambda at: print(f"{at.done} of {at.points} points", end="\r", flush=True),
    )
    for failure in ended.failed:
        print(f"point {failure.point}: {failure.reason}")
    save_figure(STUDIES[study](nets.open_sweep(folder / study)), out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", choices=list(STUDIES), default="phase_diagram")
    parser.add_argument("--folder", type=Path, default=Path("studies"))
    parser.add_argument("--workers", type=int, default=1)
    main(**vars(parser.parse_args()))
