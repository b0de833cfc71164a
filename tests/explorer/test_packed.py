"""Frames: what a page unpacks is what was packed, to half a unit of the code."""

import numpy as np
import pytest
from bokeh.models import Select

from grokode.compare.explorer.desk import Control, Desk, chosen, slider
from grokode.compare.explorer.packed import pack, unpack


@pytest.mark.parametrize("bits", [8, 16])
def test_packing_is_off_by_half_a_unit_at_most(bits):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 3, 11)) * 10.0 ** rng.integers(-6, 6, (7, 1, 1))
    values[0, 0, 0], values[3] = np.nan, np.inf
    codes, low, unit = pack(values, bits)
    assert codes.dtype == np.dtype(f"uint{bits}")
    back = unpack(codes, low, unit)
    known = np.isfinite(values)
    assert np.isnan(back[~known]).all()
    spans = np.ptp(np.where(known, values, 0), axis=(1, 2), keepdims=True)
    # Half a unit, and what float32 keeps of the range's ends.
    largest = np.abs(np.where(known, values, 0)).max((1, 2), keepdims=True)
    slack = spans / (2**bits - 2) / 2 * 1.01 + 4e-7 * largest
    assert (np.abs(np.where(known, back - values, 0)) <= slack).all()


def test_a_constant_comes_back_as_it_was():
    assert unpack(*pack(np.full((2, 3), 0.25), 8)).tolist() == [[0.25] * 3] * 2


def columns(name, step):
    return {"line": [step * 1.0, step * 2.0], "lines": np.full((2, 3), float(len(name)) + step)}


@pytest.mark.parametrize("live", [True, False])
def test_a_source_starts_with_the_frame_that_is_chosen(live):
    name, step = chosen("name", {"a": "A", "bb": "B"}, "bb"), slider("step", [0, 10, 20], 1)
    source = Desk(live).source([name, step], columns, {"still": [1, 2]})
    assert source.data["line"].tolist() == [10, 20]
    assert [row.tolist() for row in source.data["lines"]] == [[12] * 3, [12] * 3]
    assert source.data["still"] == [1, 2]


def test_a_served_source_asks_when_a_control_is_moved():
    name, step = chosen("name", {"a": "A", "bb": "B"}, "bb"), slider("step", [0, 10, 20], 1)
    desk = Desk(live=True)
    source = desk.source([name, step], columns, {"still": [1, 2]})
    told = desk.telling([name], lambda one: f"it is {one}")
    step.widget.value = "20"
    name.widget.value = "a"
    assert source.data["line"].tolist() == [20, 40]
    assert source.data["still"] == [1, 2]
    assert told.text == "it is a"


def test_every_frame_of_a_page_is_in_its_script():
    name, step = chosen("name", {"a": "A", "bb": "B"}, "bb"), slider("step", [0, 10, 20], 1)
    Desk(live=False).source([name, step], columns)
    (script,) = name.widget.js_property_callbacks["change:value"]
    packed = script.args["columns"]["line"]
    frames = unpack(packed["codes"].reshape(2, 3, 2), packed["low"], packed["unit"])
    assert frames[0].tolist() == pytest.approx(np.array([[0, 0], [10, 20], [20, 40]]), abs=1e-3)
    assert script.args["places"] == [{"a": 0, "bb": 1}, {"0": 0, "10": 1, "20": 2}]


def test_a_coarser_control_takes_the_nearest_frame():
    fine = Control(Select(value="30"), [0, 10, 20, 30, 40])
    coarse = fine.coarser([0, 40])
    assert (coarse.value, coarse.places["10"], coarse.places["0"]) == (40, 0, 0)
