"""Colours of the explorer, as those see them who lack one kind of cone, and in a print without any.

Matrices on linear RGB at full severity: Machado, Oliveira, Fernandes, IEEE Transactions on
Visualization and Computer Graphics 15 (2009), table 1. Differences are distances in CIELAB.
"""

from itertools import combinations

import numpy as np
import pytest
from bokeh.models import GlyphRenderer, Plot

from grokode.compare.common.style import DIVERGING, SEQUENTIAL
from grokode.compare.explorer.material import PAGE, Material
from grokode.compare.explorer.rooms import rooms
from grokode.compare.explorer.views.weights import palette

LUMINANCE = [0.2126729, 0.7151522, 0.0721750]
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], LUMINANCE, [0.0193339, 0.1191920, 0.9503041]])
APART = 15.0
"""Six times what can just be seen of two patches side by side (2.3): marks are small, and apart."""


def lab(colour, seen):
    """A colour #rrggbb in CIELAB (white D65), as it is seen."""
    given = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(given <= 0.04045, given / 12.92, ((given + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(SEEN[seen] @ linear, 0, 1) / TO_XYZ.sum(1)
    bent = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * bent[1] - 16, 500 * (bent[0] - bent[1]), 200 * (bent[1] - bent[2])])


def difference(one, other, seen):
    return float(np.linalg.norm(lab(one, seen) - lab(other, seen)))


def legends(material):
    """What the legend of every figure tells apart: (shape, colour) by label."""
    for room in rooms(material, live=False).rooms:
        for figure in (part for part in room.parts if isinstance(part, Plot)):
            looks = {}
            for item in figure.legend.items if figure.legend else ():
                renderer = item.renderers[0]
                assert isinstance(renderer, GlyphRenderer)
                glyph = renderer.glyph
                shape = [type(glyph).__name__]
                shape += [str(getattr(glyph, name, "")) for name in ("line_dash", "marker")]
                colours = [getattr(glyph, name, None) for name in ("fill_color", "line_color")]
                colour = next((one for one in colours if isinstance(one, str)), None)
                if colour is not None and colour.startswith("#"):
                    looks[str(item.label.value)] = (shape, colour)
            yield figure.name, looks


@pytest.mark.parametrize("kind", ["grokked", "transformer", "parity"])
def test_what_a_legend_names_is_told_apart_by_shape_or_by_any_eye(kind, request):
    compared = 0
    for name, looks in legends(Material(request.getfixturevalue(kind), PAGE)):
        for (one, (shape, colour)), (other, (same, second)) in combinations(looks.items(), 2):
            if shape == same:
                for seen in SEEN:
                    far = difference(colour, second, seen)
                    assert far >= APART, f"{name}: {one}, {other} by {seen}"
                compared += 1
    assert compared >= 2


@pytest.mark.parametrize("seen", SEEN)
def test_a_heat_map_is_read_by_its_lightness(seen):
    lightness = np.array([lab(colour, seen)[0] for colour in palette(SEQUENTIAL)])
    # Of 256 shades, steps are about 0.3; the simulation has three digits.
    assert (np.diff(lightness) > -0.1).all()
    assert np.ptp(lightness) > 60
    low, *_, high = ends = palette(DIVERGING)
    middle = ends[len(ends) // 2]
    assert min(difference(*pair, seen) for pair in combinations((low, middle, high), 2)) > 3 * APART
