"""What the lottery figures show is what the numbers say."""

import re

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from grokode.compare.lottery.contour_figures import (
    contour,
    dominance_distribution,
    dominance_scaling,
)
from grokode.theory import lottery

P = 23


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="module")
def grid():
    # The end points are D = 0, pi and 2 pi exactly, where the blow-up time is largest.
    return lottery.contour(P, np.geomspace(0.01, 0.1, 15), np.linspace(0, 2 * np.pi, 41))


@pytest.fixture(scope="module")
def scalings():
    return [
        lottery.dominance_scaling([11, 23, 47], [0.01, 0.1], 40, seed=0, initialisation=initial)
        for initial in ("gaussian", "equal")
    ]


def colours(ax):
    (mesh,) = (collection for collection in ax.collections if isinstance(collection, QuadMesh))
    return mesh


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_final_magnitude_is_figure_11(grid, ax):
    contour(grid, "final_magnitude", ax)
    shown = colours(ax).get_array()
    np.testing.assert_array_equal(shown, grid.final_magnitude.values)
    # Symmetric about pi; 2 pi - D is exact to 4e-16.
    np.testing.assert_allclose(shown, shown[:, ::-1], rtol=1e-12)
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert (row, column) in ((14, 0), (14, 40))
    assert ax.get_xlabel().endswith("(rad)")
    assert ax.get_ylabel() == "initial magnitude α = β (units of the weights)"
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert ticks == ["0", "π/2", "π", "3π/2", "2π"]
    np.testing.assert_allclose(ax.get_xticks(), np.arange(5) * np.pi / 2, rtol=1e-15)
    bar = ax.figure.axes[1]
    assert f"{grid.attrs['saturation_time']:.3g}" in bar.get_ylabel()


def test_blowup_time_is_bright_where_it_is_short_and_ends_before_infinity(grid, ax):
    infinite = grid.copy(deep=True)
    infinite.blowup_time[:, 20] = np.inf
    contour(infinite, "blowup_time", ax)
    mesh = colours(ax)
    shown = mesh.get_array()
    assert np.isfinite(shown).all()
    brightness = mesh.cmap(mesh.norm(shown))[..., :3].sum(-1)
    shortest = np.unravel_index(shown.argmin(), shown.shape)
    assert brightness[shortest] == brightness.max()
    assert (brightness[:, 20] == brightness.min()).all()
    assert ax.figure.axes[1].get_ylabel() == "blow-up time T (gradient-flow time)"


def test_contours_carry_the_values_they_run_through(grid, ax):
    contour(grid, "blowup_time", ax)
    ax.figure.draw_without_rendering()
    labels = [text for text in ax.texts if re.fullmatch(r"[\d.]+", text.get_text())]
    assert labels
    for text in labels:
        D, magnitude = text.get_position()
        exact = lottery.contour(P, [magnitude], [D]).blowup_time.item()
        # Contours are straight between grid points 2 pi / 40 and 1.18-fold apart: a few per cent.
        assert exact == pytest.approx(float(text.get_text()), rel=0.05)


def test_grids_without_contours_are_drawn(ax):
    one = lottery.contour(P, [0.1], [0.5])
    contour(one, "blowup_time", ax)
    assert colours(ax).get_array() == one.blowup_time.values


def test_what_cannot_be_drawn_is_refused(grid, ax):
    with pytest.raises(ValueError, match="blowup_time, final_magnitude, got 'beta'"):
        contour(grid, "beta", ax)
    late = lottery.contour(P, [0.1, 0.2], [0.0, 0.1], time=100.0)
    with pytest.raises(ValueError, match="final_magnitude is nowhere positive and finite"):
        contour(late, "final_magnitude", ax)


def test_distribution_has_its_median_at_one_half(ax):
    times = lottery.dominance_times(P, 0.1, 101, seed=0)
    dominance_distribution(times, ax)
    dominance, blowup, law = ax.lines
    x, y = dominance.get_data()
    median = float(times.dominance_time.median())
    # Of 101 neurons 51 are done by the median.
    assert y[x <= median].max() == pytest.approx(51 / 101, rel=1e-12)
    assert sorted(blowup.get_xdata()[1:]) == sorted(times.blowup_time.values)
    assert law.get_xdata()[0] == pytest.approx(np.log(P) / (P * 0.1), rel=1e-15)
    assert f"median {median:.3g}" in labels_of(ax)[0]
    assert labels_of(ax)[2].startswith("published law")


@pytest.mark.parametrize("against", ["p", "kappa"])
def test_scaling_shows_the_medians_and_the_fitted_powers(scalings, against, ax):
    other = {"p": "kappa", "kappa": "p"}[against]
    dominance_scaling(scalings, against, ax)
    *measured, law = ax.lines
    labels = labels_of(ax)
    for scaling, points, fit, label in zip(
        scalings, measured[::2], measured[1::2], labels, strict=False
    ):
        line = scaling.isel({other: 0})
        np.testing.assert_array_equal(points.get_ydata(), line.dominance_time)
        x, y = (np.log(np.asarray(values, dtype=float)) for values in fit.get_data())
        # A straight line in logarithms of the fitted slope, to rounding.
        np.testing.assert_allclose(
            np.diff(y) / np.diff(x), float(scaling[f"exponent_{against}"]), rtol=1e-9
        )
        power = float(re.search(r"\^\{(-?[\d.]+) ±", label).group(1))
        assert power == pytest.approx(float(scaling[f"exponent_{against}"]), abs=0.005)
        assert f"{scaling.attrs['initialisation']} start" in label
    np.testing.assert_allclose(
        law.get_ydata(),
        [
            np.log(p) / (p * kappa)
            for p, kappa in {
                "p": [(p, 0.01) for p in (11, 23, 47)],
                "kappa": [(11, kappa) for kappa in (0.01, 0.1)],
            }[against]
        ],
        rtol=1e-12,
    )
    assert labels[-1].startswith("published law")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_scaling_refuses_what_it_cannot_draw(scalings, ax):
    with pytest.raises(ValueError, match="at least one"):
        dominance_scaling([], "p", ax)
    with pytest.raises(ValueError, match="'p' or 'kappa', got 'M'"):
        dominance_scaling(scalings, "M", ax)
