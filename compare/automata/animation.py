"""Hidden states moving through training: one page that opens anywhere, without a network."""

import base64
import json
from html import escape

import numpy as np
import xarray as xr

__all__ = ["animation"]

_FRAMES = 150
"""Checkpoints shown at most; more are too quick to be seen and too many to be sent."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>__TITLE__</title>
<style>
body {font: 16px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 44rem; padding: 0 1rem;
  color: #222; background: #fff}
canvas {width: 100%; aspect-ratio: 4 / 3; border: 1px solid #bbb}
.row {display: flex; gap: .8rem; align-items: center; margin: .6rem 0}
input[type=range] {flex: 1}
@media (prefers-color-scheme: dark) {body {color: #ddd; background: #161616}}
</style></head><body>
<h1>__TITLE__</h1>
<p>Every dot is the hidden state after one sequence, larger ones after shorter sequences; orange
ones are to be answered with 1. The plane is that of their largest spread over training.</p>
<canvas id="plane" width="960" height="720" role="img"
  aria-label="Hidden states in a plane, at the epoch of the slider"></canvas>
<div class="row"><button id="play" type="button">Play</button>
<input id="at" type="range" min="0" max="0" value="0" aria-label="Checkpoint">
<output id="epoch" for="at"></output></div>
<script>
const told = __DATA__;
const bytes = Uint8Array.from(atob(told.places), c => c.charCodeAt(0));
const places = new Int16Array(bytes.buffer);
const count = told.sizes.length, canvas = document.getElementById("plane");
const pen = canvas.getContext("2d"), at = document.getElementById("at");
const play = document.getElementById("play"), epoch = document.getElementById("epoch");
at.max = told.epochs.length - 1;
function draw() {
  const first = 2 * count * at.value;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  for (let n = 0; n < count; n++) {
    const x = (places[first + 2 * n] / 32767 * .46 + .5) * canvas.width;
    const y = (.5 - places[first + 2 * n + 1] / 32767 * .46) * canvas.height;
    pen.fillStyle = told.odd[n] ? "rgba(230,159,0,.55)" : "rgba(0,114,178,.55)";
    pen.beginPath(); pen.arc(x, y, told.sizes[n], 0, 7); pen.fill();
  }
  epoch.textContent = "epoch " + told.epochs[at.value];
}
let timer = null;
function stop() {clearInterval(timer); timer = null; play.textContent = "Play"}
play.onclick = () => {
  if (timer) {stop(); return}
  if (at.value === at.max) at.value = 0;
  play.textContent = "Pause";
  timer = setInterval(() => {
    if (at.value === at.max) {stop(); return}
    at.value = Number(at.value) + 1; draw();
  }, 80);
};
at.oninput = draw;
draw();
</script></body></html>
"""


def animation(positions: xr.Dataset, title: str = "Hidden states through training") -> str:
    """A page with a slider over the checkpoints and the hidden states at each.

    Parameters
    ----------
    positions : Dataset
        ``position`` (step, sequence, axis), ``answer`` and ``length`` (sequence,), attribute
        ``epoch``: as the question ``automaton`` measures it.
    title : str

    Returns
    -------
    str
        HTML that needs nothing else.

    Examples
    --------
    >>> still = xr.Dataset(
    ...     {
    ...         "position": (("step", "sequence", "axis"), np.zeros((1, 2, 2))),
    ...         "answer": ("sequence", [0, 1]),
    ...         "length": ("sequence", [1, 1]),
    ...     },
    ...     coords={"step": [0]},
    ...     attrs={"epoch": 21},
    ... )
    >>> animation(still).count("<canvas")
    1
    """
    steps = positions.step.values
    shown = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _FRAMES)).astype(int))
    places = positions.position.values[shown].astype(np.float64)
    places = places - (places.max((0, 1)) + places.min((0, 1))) / 2
    most = np.abs(places).max() or 1.0
    whole = np.round(places / most * 32767).astype("<i2")
    data = {
        "places": base64.b64encode(whole.tobytes()).decode("ascii"),
        "odd": (positions.answer.values == 1).astype(int).tolist(),
        "sizes": np.round(2 + 8 / np.sqrt(positions.length.values), 1).tolist(),
        "epochs": np.round(steps[shown] / positions.attrs["epoch"], 1).tolist(),
    }
    # No text but our own is in the data, and the title is escaped.
    return _PAGE.replace("__TITLE__", escape(title)).replace("__DATA__", json.dumps(data))
