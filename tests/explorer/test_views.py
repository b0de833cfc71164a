"""Views: theirs are the numbers that the questions measure, and a view that is empty says why."""

import json
import re
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import pytest
import xarray as xr

from grokode import nets
from grokode.compare.explorer.material import PAGE, SERVED, Material, spread
from grokode.compare.explorer.page import write_explorer
from grokode.compare.explorer.registry import VIEWS
from grokode.compare.explorer.rooms import rooms
from grokode.compare.explorer.views.circuit import circles
from grokode.compare.explorer.views.contour import heights
from grokode.compare.explorer.views.machine import drawing
from grokode.theory import fourier
from grokode.theory.exact import blowup_time


class Links(HTMLParser):
    """What the tags of a page point at; what scripts hold is no tag."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


def reasons(shown):
    return {room.view.name: room.reason for room in shown.rooms if room.reason}


def test_every_view_of_two_layers_is_filled(grokked):
    shown = rooms(Material(grokked, SERVED), live=True)
    assert list(reasons(shown)) == ["states"]
    assert [room.view.name for room in shown.rooms] == list(VIEWS)


def test_a_transformer_has_its_circuit_and_says_why_the_rest_is_empty(transformer):
    told = reasons(rooms(Material(transformer, PAGE), live=False))
    assert set(told) == set(VIEWS) - {"overview", "circuit", "log"}
    assert all("two-layer" in told[name] or "recurrent" in told[name] for name in told)


def test_a_recurrent_network_has_its_states_and_says_why_the_rest_is_empty(parity):
    told = reasons(rooms(Material(parity, PAGE), live=False))
    assert set(told) == set(VIEWS) - {"overview", "states", "log"}
    assert all("two-layer" in told[name] or "addition" in told[name] for name in told)


def test_arrows_go_from_rim_to_rim_and_no_two_are_one():
    """Three states: both symbols from 0 to 1 and back, and from 2 to itself."""
    transitions = np.full((5, 2), -1)
    transitions[:3] = [[1, 1], [0, 0], [2, 2]]
    both = drawing(xr.Dataset({"transitions": (("state", "symbol"), transitions), "states": 3}))
    places = np.exp(1j * (np.pi / 2 - 2 * np.pi * np.arange(3) / 3))
    radius = 0.15
    drawn = []
    for symbol, arrows in enumerate(both):
        lines = arrows["xs"] + 1j * arrows["ys"]
        assert np.isnan(lines[3:]).all()
        for state, target in enumerate(transitions[:3, symbol]):
            line = lines[state]
            outside = abs(line[:, None] - places[[state, target]]) >= radius - 1e-9
            assert outside.all()
            # Lines are cut on a grid of 400 points to a way of at most the circle's width.
            assert abs(line[0] - places[state]) < radius + 0.02
            assert abs(line[-1] - places[target]) < radius + 0.04 + 0.02
            way = 1j * np.exp(1j * arrows["angle"][state])
            assert abs(np.angle((line[-1] - line[-2]) / way)) < 1e-9
            drawn.append(line)
    middles = [line[len(line) // 2] for line in drawn]
    assert min(abs(a - b) for a, b in combinations(middles, 2)) > 0.08


def test_tickets_stand_where_the_contour_has_their_own_blowup_time(grokked):
    start = grokked.spectra().isel(step=0)
    D, magnitude = heights(start, 5)
    there = blowup_time(magnitude.astype(complex), magnitude * np.exp(-1j * D), 5)
    own = blowup_time(start.theta_hat, start.xi_hat, 5).values
    # Two evaluations of one closed form, to the accuracy it has near its own cancellation.
    np.testing.assert_allclose(there, own, rtol=1e-6)


def test_a_ticket_of_equal_magnitudes_stands_at_its_own():
    theta, xi = np.array([[0.2, 0.3 * np.exp(0.5j)]]), np.array([[0.2j, 0.3]])
    x = fourier.from_waves(np.zeros(1), theta), fourier.from_waves(np.zeros(1), xi)
    D, magnitude = heights(fourier.spectrum(*x), 5)
    assert magnitude == pytest.approx(np.array([[0.2, 0.3]]))
    assert pytest.approx(np.array([[-np.pi / 2, 1.0]])) == D


def test_the_plane_of_a_frequency_holds_its_waves_and_no_other():
    angle = 2 * np.pi / 7 * np.arange(7)
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 4)))[0].T
    waves = [np.cos(2 * angle), np.sin(2 * angle), np.cos(angle), np.sin(angle)]
    embedding = np.stack(waves, 1) @ directions + 3.0
    places = circles(embedding, 2)
    assert np.linalg.norm(places, axis=1) == pytest.approx(np.ones(7))
    turned = places[:, 0] + 1j * places[:, 1]
    steps = turned[1:] / turned[:-1]
    assert np.abs(steps - steps[0]).max() < 1e-12
    assert abs(np.angle(steps[0])) == pytest.approx(4 * np.pi / 7)


def test_a_page_holds_part_of_a_large_run_and_says_so(grokked):
    assert "All checkpoints and all neurons" in Material(grokked, PAGE).left_out
    few = Material(grokked, type(PAGE)(steps=4, neurons=3, rows=2, numbers=1000))
    assert few.steps.tolist() == spread(grokked.weights.step.values, 4).tolist()
    assert "4 of 11 checkpoints" in few.left_out
    assert "3 of 10 neurons" in few.left_out
    assert len(few.race.neurons) == 3


def test_what_a_page_keeps_of_the_race_is_what_a_server_has(grokked):
    kept = Material(grokked, type(PAGE)(None, 3, None, 1000)).race
    every = Material(grokked, SERVED).race
    assert kept.followers == every.followers
    assert kept.winners.identical(every.winners)
    for neuron in kept.neurons.tolist():
        one, other = kept.tickets(neuron), every.tickets(neuron)
        assert np.array_equal(one.theta_hat, other.theta_hat, equal_nan=True)


def test_a_page_is_written_once_and_no_name_is_markup(grokked, transformer, tmp_path):
    out = write_explorer([grokked, transformer], tmp_path / "page.html")
    text = out.read_text()
    # The document's own data is JSON with its angle brackets escaped; the rest is the page.
    assert "<b>run" not in text
    assert "&lt;b&gt;run &amp; co" in text
    links = Links()
    links.feed(text)
    assert links.found
    assert all(link.startswith("#run") for link in links.found)
    data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S)
    assert json.loads(data.group(1).replace("&lt;", "<").replace("&amp;", "&").replace("&gt;", ">"))
    with pytest.raises(FileExistsError, match="not overwritten"):
        write_explorer([grokked], out)


def test_a_run_of_one_checkpoint_still_has_a_page(tmp_path):
    config = nets.TrainingConfig(p=5, neurons=4, steps=1, checkpoint_every=1, log_every=1)
    run = nets.train(config, tmp_path / "short")
    weights = run.weights.isel(step=-1).load()
    np.savez(tmp_path / "one.npz", theta=weights.theta.values, xi=weights.xi.values)
    one = nets.import_checkpoint(tmp_path / "one.npz", tmp_path / "one", activation="relu")
    told = reasons(rooms(Material(one, PAGE), live=False))
    assert {"race", "winners", "contour", "weights"} <= set(told)
    assert not {"overview", "log"} & set(told)
