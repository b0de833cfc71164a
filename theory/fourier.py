"""Weights and their spectra on Z_p: the coordinates in which theory and networks meet.

A real weight vector on Z_p (odd p) is its mean plus K = (p-1)/2 waves,

    theta[x] = mean + sum_k alpha_k cos(w_k x + phi_k),   w_k = 2 pi k / p,

so each (neuron, frequency) pair, a *ticket*, is one complex number per layer:
``theta_hat = alpha e^{i phi}`` for the input weights and ``xi_hat = beta e^{i psi}`` for the output
weights. A *spectrum* is the `xarray.Dataset` of these numbers; every function here keeps leading
dimensions (seed, step, ...) as they are.

Source: He, Wang, Chen, Yang, arXiv:2602.16849, section 3.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory._checks import any_array, real_array
from grokode.theory._labels import check_weights, in_order
from grokode.theory.modulus import check_modulus

Array = NDArray[Any]

__all__ = [
    "alpha",
    "amplitude_phase",
    "beta",
    "check_modulus",
    "check_spectrum",
    "check_weights",
    "fourier_basis",
    "from_basis",
    "from_waves",
    "leading_frequency",
    "misalignment",
    "phi",
    "psi",
    "spectrum",
    "to_basis",
    "to_waves",
    "weights",
]


def to_waves(vectors: ArrayLike) -> tuple[Array, Array]:
    """Split real vectors on Z_p into their mean and complex wave coefficients.

    Parameters
    ----------
    vectors : array (..., p), real
        The last axis runs over Z_p.

    Returns
    -------
    mean : array (...)
    coefficients : complex array (..., K)
        ``alpha_k e^{i phi_k} = (2/p) sum_x v[x] e^{-i w_k x}``, k = 1..K.

    Raises
    ------
    TypeError
        If a value is not a real number.
    ValueError
        If the last axis has even length or length below 3, or a value is not finite.

    Examples
    --------
    >>> x = np.arange(5)
    >>> mean, waves = to_waves(1 + 2 * np.cos(2 * np.pi * 2 * x / 5 + 0.3))
    >>> float(np.round(mean, 12)), np.round(np.abs(waves), 12).tolist()
    (1.0, [0.0, 2.0])
    """
    values = _residues_last("vectors", vectors)
    p = check_modulus(values.shape[-1] if values.ndim else 0)
    if not np.isfinite(values).all():
        raise ValueError(
            "vectors must be finite, got NaN or infinity; drop or repair those entries"
        )
    transform = np.fft.rfft(values, axis=-1)
    return transform[..., 0].real / p, 2 / p * transform[..., 1:]


def from_waves(mean: ArrayLike, coefficients: ArrayLike) -> Array:
    """Rebuild real vectors on Z_p; the inverse of `to_waves`.

    Parameters
    ----------
    mean : array (...)
    coefficients : complex array (..., K)

    Returns
    -------
    array (..., 2K+1), float64

    Raises
    ------
    TypeError
        If a mean is not a real number, or a coefficient no number.
    ValueError
        If their shapes do not fit.

    Examples
    --------
    >>> v = np.array([0.3, -1.0, 2.0])
    >>> bool(np.allclose(from_waves(*to_waves(v)), v, rtol=1e-15, atol=1e-15))
    True
    """
    waves, means = any_array("coefficients", coefficients), real_array("mean", mean)
    if waves.dtype.kind not in "iufc":
        raise TypeError(f"coefficients must be complex numbers, got dtype {waves.dtype}")
    if waves.shape[:-1] != means.shape:
        raise ValueError(
            f"mean must have one number to a row of coefficients {waves.shape}, got {means.shape}"
        )
    p = 2 * waves.shape[-1] + 1
    transform = np.concatenate([means[..., None] * p, p / 2 * waves], axis=-1)
    return np.fft.irfft(transform, n=p, axis=-1)


def spectrum(theta: ArrayLike | xr.DataArray, xi: ArrayLike | xr.DataArray) -> xr.Dataset:
    """Spectrum of a two-layer network's weights.

    Parameters
    ----------
    theta : array (..., neuron, p)
        Input weights, ``theta[m, x]``. A DataArray must have dimensions ``neuron, x``, in whatever
        order, and is read by them.
    xi : array (..., neuron, p)
        Output weights, ``xi[m, j]``; a DataArray likewise, with ``neuron, output``.

    Returns
    -------
    Dataset
        Complex ``theta_hat, xi_hat (..., neuron, frequency)``, real ``theta_mean, xi_mean
        (..., neuron)``, coordinate ``frequency = 1..K``, attribute ``p``. Leading dimensions of
        DataArrays keep their names and coordinates; those of plain arrays are named ``batch_i``.

    Raises
    ------
    TypeError
        If a weight is not a real number.
    ValueError
        If shapes differ, p is even or below 3, or a weight is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> s = spectrum(rng.normal(size=(4, 7)), rng.normal(size=(4, 7)))
    >>> dict(s.sizes), s.attrs["p"]
    ({'neuron': 4, 'frequency': 3}, 7)
    """
    theta, xi = check_weights(theta, xi)
    theta_mean, theta_hat = to_waves(theta)
    xi_mean, xi_hat = to_waves(xi)
    if isinstance(theta, xr.DataArray):
        leading = [str(name) for name in theta.dims[:-2]]
        coords = {n: c for n, c in theta.coords.items() if set(c.dims) <= {*leading, "neuron"}}
    else:
        leading, coords = [f"batch_{i}" for i in range(np.ndim(theta) - 2)], {}
    neuron_dims = [*leading, "neuron"]
    wave_dims = [*neuron_dims, "frequency"]
    frequencies = np.arange(1, theta_hat.shape[-1] + 1)
    result = xr.Dataset(
        {
            "theta_hat": (wave_dims, theta_hat, {"long_name": "input wave, alpha e^(i phi)"}),
            "xi_hat": (wave_dims, xi_hat, {"long_name": "output wave, beta e^(i psi)"}),
            "theta_mean": (neuron_dims, theta_mean, {"long_name": "mean input weight"}),
            "xi_mean": (neuron_dims, xi_mean, {"long_name": "mean output weight"}),
        },
        coords=coords | {"frequency": frequencies},
        attrs={"p": 2 * len(frequencies) + 1},
    )
    if "neuron" not in coords:
        result = result.assign_coords(neuron=np.arange(result.sizes["neuron"]))
    return result


def check_spectrum(spectrum: xr.Dataset, p: int) -> xr.Dataset:
    """The spectrum in double precision, ``neuron, frequency`` last, if it is one of modulus p.

    Raises
    ------
    TypeError
        If it is no Dataset with complex ``theta_hat`` and ``xi_hat``.
    ValueError
        If it has another p, or a value that is not finite.

    Examples
    --------
    >>> s = spectrum([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    >>> check_spectrum(s, 3).theta_hat.dims
    ('neuron', 'frequency')
    """
    check_variables(spectrum, "theta_hat", "xi_hat")
    p, own = check_modulus(p), 2 * spectrum.sizes.get("frequency", 0) + 1
    waves = {name: spectrum[name] for name in ("theta_hat", "xi_hat")}
    lacking = any(not {"neuron", "frequency"} <= {*values.dims} for values in waves.values())
    if own != p or spectrum.attrs.get("p", p) != p or lacking:
        raise ValueError(
            f"spectrum must have (neuron, frequency) with {(p - 1) // 2} frequencies for p = {p}, "
            f"got {dict(spectrum.sizes)}"
        )
    for name, values in waves.items():
        if values.dtype.kind != "c":
            raise TypeError(
                f"spectrum must have complex {name}, got dtype {values.dtype}; alpha e^(i phi) "
                "needs its phase, take grokode.theory.spectrum of the weights"
            )
        if not np.isfinite(values.values).all():
            raise ValueError(
                f"spectrum must be finite, got NaN or infinity in {name}; drop those neurons"
            )
    if "frequency" in spectrum.indexes:
        if not spectrum.indexes["frequency"].is_monotonic_increasing:
            spectrum = spectrum.sortby("frequency")
        in_order("spectrum", spectrum.theta_hat, ("neuron", "frequency"))
    doubled = {name: spectrum[name].astype(complex, copy=False) for name in waves}
    return spectrum.assign(doubled).transpose(..., "neuron", "frequency")


def weights(spectrum: xr.Dataset) -> xr.Dataset:
    """Weights of a spectrum, ``theta (..., neuron, x)`` and ``xi (..., neuron, output)``.

    The inverse of `spectrum`, exact to rounding.

    Raises
    ------
    TypeError
        If it is no spectrum, or one without means.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> theta, xi = rng.normal(size=(2, 4, 7))
    >>> back = weights(spectrum(theta, xi))
    >>> bool(np.allclose(back.theta, theta, atol=1e-14) and np.allclose(back.xi, xi, atol=1e-14))
    True
    """
    check_variables(spectrum, "theta_hat", "xi_hat", "theta_mean", "xi_mean")
    spectrum = check_spectrum(spectrum, 2 * spectrum.sizes.get("frequency", 0) + 1)
    theta = from_waves(spectrum.theta_mean, spectrum.theta_hat)
    xi = from_waves(spectrum.xi_mean, spectrum.xi_hat)
    dims = [str(name) for name in spectrum.theta_mean.dims]
    residues = np.arange(theta.shape[-1])
    return xr.Dataset(
        {"theta": ([*dims, "x"], theta), "xi": ([*dims, "output"], xi)},
        coords=dict(spectrum.theta_mean.coords) | {"x": residues, "output": residues},
        attrs=spectrum.attrs,
    )


def alpha(spectrum: xr.Dataset) -> xr.DataArray:
    """Input magnitude ``|theta_hat|``, dimensions as ``theta_hat``."""
    check_variables(spectrum, "theta_hat")
    return _named(abs(spectrum.theta_hat), "alpha", "input magnitude")


def beta(spectrum: xr.Dataset) -> xr.DataArray:
    """Output magnitude ``|xi_hat|``, dimensions as ``xi_hat``."""
    check_variables(spectrum, "xi_hat")
    return _named(abs(spectrum.xi_hat), "beta", "output magnitude")


def phi(spectrum: xr.Dataset) -> xr.DataArray:
    """Input phase ``arg theta_hat`` in (-pi, pi]."""
    check_variables(spectrum, "theta_hat")
    return _angle(spectrum.theta_hat, "phi", "input phase")


def psi(spectrum: xr.Dataset) -> xr.DataArray:
    """Output phase ``arg xi_hat`` in (-pi, pi]."""
    check_variables(spectrum, "xi_hat")
    return _angle(spectrum.xi_hat, "psi", "output phase")


def misalignment(spectrum: xr.Dataset) -> xr.DataArray:
    """Misalignment ``D = 2 phi - psi`` wrapped to (-pi, pi]; zero for a trained ticket.

    Source: arXiv:2602.16849, section 4.

    Examples
    --------
    >>> s = spectrum([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    >>> bool(np.isclose(misalignment(s).item(), 2 * np.pi / 3))
    True
    """
    # Unit phasors: squaring a tiny theta_hat would underflow.
    turn = xr.apply_ufunc(np.exp, 1j * (2 * phi(spectrum) - psi(spectrum)))
    return _angle(turn, "misalignment", "misalignment D = 2 phi - psi")


def leading_frequency(spectrum: xr.Dataset) -> xr.DataArray:
    """Frequency with the largest beta in each neuron, dimensions (..., neuron).

    On the last checkpoint of a training this is the *winner* of the neuron's lottery.

    Examples
    --------
    >>> x = np.arange(7)
    >>> wave = np.cos(2 * np.pi * 3 * x / 7)[None]
    >>> leading_frequency(spectrum(wave, wave)).item()
    3
    """
    return beta(spectrum).idxmax("frequency").astype(int).rename("leading_frequency")


def fourier_basis(p: int) -> Array:
    """The real orthonormal basis stored with the published checkpoints.

    Returns
    -------
    array (p, p), rows constant, cos 1, sin 1, ..., cos K, sin K

    Examples
    --------
    >>> F = fourier_basis(5)
    >>> bool(np.allclose(F @ F.T, np.eye(5)))
    True
    """
    p = check_modulus(p)
    angles = 2 * np.pi / p * np.outer(np.arange(1, (p + 1) // 2), np.arange(p))
    rows = np.empty((p, p))
    rows[0] = 1 / np.sqrt(p)
    rows[1::2] = np.sqrt(2 / p) * np.cos(angles)
    rows[2::2] = np.sqrt(2 / p) * np.sin(angles)
    return rows


def to_basis(vectors: ArrayLike) -> Array:
    """Coefficients (..., p) of real vectors (..., p) in `fourier_basis`.

    Examples
    --------
    >>> np.round(to_basis(np.ones(5)), 12).tolist() == [np.round(5**0.5, 12), 0, 0, 0, 0]
    True
    """
    values = np.atleast_1d(_residues_last("vectors", vectors))
    return values @ fourier_basis(values.shape[-1]).T


def from_basis(coefficients: ArrayLike) -> Array:
    """Real vectors (..., p) from their coefficients (..., p) in `fourier_basis`.

    Examples
    --------
    >>> v = np.array([0.3, -1.0, 2.0])
    >>> bool(np.allclose(from_basis(to_basis(v)), v))
    True
    """
    values = np.atleast_1d(real_array("coefficients", coefficients))
    return values @ fourier_basis(values.shape[-1])


def amplitude_phase(coefficients: ArrayLike) -> tuple[Array, Array]:
    """Amplitude and phase of every wave from coefficients in `fourier_basis`.

    a cos(w x) + b sin(w x) = r cos(w x + phase) with r e^{i phase} = a - i b, so the phase is the
    *conjugate* of the angle of (cos + i sin coefficient) that some texts print.

    Parameters
    ----------
    coefficients : array (..., p)

    Returns
    -------
    amplitude, phase : arrays (..., K)

    Examples
    --------
    >>> x = np.arange(5)
    >>> r, angle = amplitude_phase(to_basis(2 * np.cos(2 * np.pi * x / 5 + 0.3)))
    >>> float(np.round(r[0], 12)), float(np.round(angle[0], 12))
    (2.0, 0.3)
    """
    values = np.atleast_1d(real_array("coefficients", coefficients))
    p = check_modulus(values.shape[-1])
    waves = np.sqrt(2 / p) * (values[..., 1::2] - 1j * values[..., 2::2])
    return np.abs(waves), np.angle(waves)


def _residues_last(name: str, values: Any) -> Array:
    """Real values (..., p), a DataArray's by its dimension over Z_p."""
    if isinstance(values, xr.DataArray):
        over = [str(dim) for dim in values.dims if dim in ("x", "y", "output")]
        values = in_order(name, values, over[-1:] or ("x",))
    return real_array(name, values)


def check_variables(spectrum: Any, *names: str) -> None:
    given = list(spectrum.data_vars) if isinstance(spectrum, xr.Dataset) else []
    if not set(names) <= set(given):
        what = (
            f"a Dataset of {given}" if isinstance(spectrum, xr.Dataset) else type(spectrum).__name__
        )
        raise TypeError(
            f"spectrum must be a Dataset with {', '.join(names)}, got {what}; "
            "for network weights see grokode.theory.spectrum"
        )


def _angle(values: xr.DataArray, name: str, meaning: str) -> xr.DataArray:
    angle = xr.apply_ufunc(np.angle, values)
    # arg(-1 - 0i) is -pi in floating point; the vocabulary's half-open interval wants +pi.
    return _named(angle.where(angle > -np.pi, np.pi), name, meaning, units="rad")


def _named(values: xr.DataArray, name: str, meaning: str, **attrs: str) -> xr.DataArray:
    return values.rename(name).assign_attrs(long_name=meaning, **attrs)
