"""What a run says about itself in the terms of theory: where a run becomes theory's input."""

import numpy as np
import xarray as xr

from grokode.compare.common.arguments import check_run
from grokode.compare.common.missing import NotMeasured
from grokode.nets.networks import TwoLayer
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory.rule import TrainingRule

__all__ = [
    "check_addition",
    "checkpoint",
    "checkpoint_accuracy",
    "observed_winners",
    "one_network",
    "start_of",
    "training_rule",
]


def check_addition(run: Run, *, any_inputs: bool = False) -> None:
    """Refuse a run that learns anything but addition, or whose y has input weights of its own.

    Parameters
    ----------
    run : Run
    any_inputs : bool
        Whether these are no reason to refuse.

    Raises
    ------
    NotMeasured
    """
    _check_two_layers(run)
    config = run.config
    if config.task != "addition" or (config.separate_inputs and not any_inputs):
        raise NotMeasured(
            f"theory is about addition with one set of input weights; {run.path} has task "
            f"{config.task}, separate_inputs {config.separate_inputs}"
        )


def check_split(run: Run) -> None:
    """Refuse a run that does not say what it was trained on, as an imported one may not.

    Raises
    ------
    NotMeasured
    """
    check_run(run)
    if not run.knows_split:
        raise NotMeasured(f"{run.path} does not say which pairs it was trained on")


def training_rule(run: Run, *, any_inputs: bool = False) -> TrainingRule:
    """How the run was trained, as theory's predictors take it.

    Parameters
    ----------
    run : Run
    any_inputs : bool
        Whether separate inputs and a learned embedding are no reason to refuse: for flows that
        follow what is trained.

    Returns
    -------
    TrainingRule

    Raises
    ------
    NotMeasured
        If the run is of a kind that theory has no prediction for (another task than addition;
        separate inputs and an embedding, unless asked for), or does not say what it was trained on.
    ValueError
        If it holds several seeds.
    """
    _check_one_seed(run)
    check_addition(run, any_inputs=any_inputs)
    check_split(run)
    config, steps = run.config, run.parameters.step.values
    if config.embedding is not None and not any_inputs:
        raise NotMeasured(
            f"theory has no rule for a learned embedding; {run.path} has one of {config.embedding}"
        )
    # SGD on the summed loss takes the steps of the mean loss with its rate times the pairs
    # and its decay over them; to AdamW the scale of the loss is all the same, but for eps.
    summed = config.loss == "sum" and config.optimizer == "sgd"
    scale = len(run.train_pairs) if summed else 1
    return TrainingRule(
        p=config.p,
        activation=config.activation,
        optimizer=config.optimizer,
        learning_rate=config.learning_rate * scale,
        warmup=config.warmup,
        first_step=int(steps[0]),
        momentum=config.momentum,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay / scale,
        train_pairs=run.train_pairs,
        steps=int(steps[-1] - steps[0]),
    )


def start_of(parameters: xr.Dataset) -> xr.Dataset:
    """A state for theory's flows, and for training again, with what is trained beside its spectrum.

    Parameters
    ----------
    parameters : Dataset
        Of one checkpoint of a two-layer network, as `grokode.nets.Run.parameters` has them.

    Returns
    -------
    Dataset
        Spectrum (neuron, frequency); with ``theta_y (neuron, y)`` where y has input weights of its
        own, and with ``embedding`` and ``projection``, also ``projection_y``, where theta is their
        product.

    Examples
    --------
    >>> sizes = {"embedding": ("residue", 5), "projection": ("neuron", 8)}
    >>> parameters = xr.Dataset(
    ...     {name: ((dim, "feature"), np.ones((n, 3))) for name, (dim, n) in sizes.items()}
    ...     | {"xi": (("neuron", "output"), np.ones((8, 5)))}
    ... )
    >>> sorted(start_of(parameters).data_vars)
    ['embedding', 'projection', 'theta_hat', 'theta_mean', 'xi_hat', 'xi_mean']
    """
    exact = parameters.drop_vars(set(parameters.coords) - {"neuron"}).astype(float)
    # Theta is a product in float64, not in the format of the weights.
    products = {
        name.replace("projection", "theta"): exact[name]
        .dot(exact.embedding, dim="feature")
        .rename(residue="y" if name.endswith("_y") else "x")
        .transpose("neuron", ...)
        for name in map(str, exact)
        if name.startswith("projection")
    }
    layers = exact.assign(products)
    beside = {name: layer for name, layer in layers.items() if name not in ("theta", "xi")}
    return fourier.spectrum(layers.theta, layers.xi).assign(beside)


def one_network(run: Run, *, any_inputs: bool = False) -> xr.Dataset:
    """Weights over the checkpoints of a run of one seed whose x and y share their input weights.

    Parameters
    ----------
    run : Run
    any_inputs : bool
        Whether input weights of y's own are no reason to refuse.

    Returns
    -------
    Dataset
        Lazy ``theta (step, neuron, x)`` and ``xi (step, neuron, output)``, and ``theta_y (step,
        neuron, y)`` where y has its own.

    Raises
    ------
    NotMeasured
        If x and y have input weights of their own.
    ValueError
        If the run holds several seeds.
    """
    _check_one_seed(run)
    _check_two_layers(run)
    if run.config.separate_inputs and not any_inputs:
        raise NotMeasured(
            f"run {run.path} has separate input weights for y, which is not measured here: train "
            "with separate_inputs=False"
        )
    return run.weights


def observed_winners(run: Run) -> xr.DataArray:
    """Winner of each neuron: the frequency of largest beta in the last checkpoint, (neuron).

    Raises
    ------
    NotMeasured
        If the run has fewer than two checkpoints, so that nothing was predicted.
    """
    _check_one_seed(run)
    spectra = run.spectra()
    if spectra.sizes["step"] < 2:
        raise NotMeasured(
            f"run {run.path} has {spectra.sizes['step']} checkpoint(s); winners need a first and "
            "a later one: train further or import more checkpoints"
        )
    return fourier.leading_frequency(spectra.isel(step=-1, drop=True)).rename("winner")


def checkpoint(run: Run, step: int | None = None) -> xr.Dataset:
    """Weights at one checkpoint, ``theta (neuron, x)`` and ``xi (neuron, output)``.

    Parameters
    ----------
    run : Run
    step : int, optional
        A step that has a checkpoint; the last one if not given.

    Raises
    ------
    ValueError
        If there is no checkpoint at that step.
    """
    check_run(run)
    steps = run.weights.step.values
    if step is not None and not isinstance(step, int | np.integer):
        raise TypeError(f"step must be an integer, got {step!r}")
    if step is None:
        return run.weights.isel(step=-1).load()
    if step not in steps:
        nearest = min(steps.tolist(), key=lambda one: abs(one - step))
        raise ValueError(
            f"step {step} has no checkpoint in {run.path}; the nearest is {nearest} "
            f"of {len(steps)} from {steps[0]} to {steps[-1]}"
        )
    return run.weights.sel(step=step).load()


def checkpoint_accuracy(run: Run) -> xr.Dataset:
    """Accuracy of each checkpoint, and the step at which it was measured.

    A run trained here logs accuracies of the very weights it keeps. A published checkpoint of step
    s holds the accuracy from before its last update, so that of step s - 1 stands in.

    Parameters
    ----------
    run : Run
        Of one seed.

    Returns
    -------
    Dataset
        ``train_accuracy``, ``test_accuracy``, ``measured_at`` (step); NaN where neither was logged,
        or there are no such pairs.
    """
    metrics, steps = run.metrics, run.weights.step.values
    logged = {int(step): row for row, step in enumerate(metrics.step.values)}
    known = np.isfinite(metrics.train_accuracy.values)
    rows = []
    for step in steps:
        candidates = [logged.get(int(step)), logged.get(int(step) - 1)]
        rows.append(next((row for row in candidates if row is not None and known[row]), None))
    columns = {
        name: [np.nan if row is None else float(metrics[name][row]) for row in rows]
        for name in ("train_accuracy", "test_accuracy")
    }
    measured = [
        int(step) if row is None else int(metrics.step[row])
        for row, step in zip(rows, steps, strict=True)
    ]
    return xr.Dataset(
        {name: ("step", values) for name, values in columns.items()}
        | {"measured_at": ("step", measured)},
        coords={"step": steps},
    )


def _check_one_seed(run: Run) -> None:
    check_run(run)
    if run.seed is None:
        raise ValueError(
            f"run {run.path} holds several seeds, {list(run.seeds)}; choose one with "
            "run.select(seed)"
        )


def _check_two_layers(run: Run) -> None:
    network = getattr(run.config, "network", None)
    if network is not None and not isinstance(network, TwoLayer):
        raise NotMeasured(
            "it is about two-layer networks; "
            f"{run.path} is a network of kind {type(network).__name__}"
        )
