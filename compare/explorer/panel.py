"""The training panel of a served page: choose, train, watch, stop, resume."""

import math
from typing import Any

import numpy as np
from bokeh.models import (
    Button,
    ColumnDataSource,
    Div,
    NumericInput,
    Paragraph,
    Range1d,
    Select,
    UIElement,
)

from grokode.compare.common.style import SKY, STEPS
from grokode.compare.explorer.look import NETWORK_LINE, THEORY_LINE, legend_above, plot
from grokode.compare.explorer.trainer import Trainer
from grokode.compare.explorer.watched import Watched
from grokode.nets import TrainingConfig, preset
from grokode.nets.training.presets import PRESETS
from grokode.text import visible

__all__ = ["Panel"]

_POINTS = 1000


class Panel:
    """Widgets and figures of one page, over the server's one trainer.

    Parameters
    ----------
    trainer : Trainer
    on_end : function (path) -> int
        Called when a training is over; the number under which its run can be explored.
    """

    def __init__(self, trainer: Trainer, on_end: Any) -> None:
        self._trainer, self._on_end = trainer, on_end
        self._watched: Watched | None = None
        self._preset = Select(title="preset", options=list(PRESETS), value="he2026/standard")
        self._p = NumericInput(title="p (odd)", mode="int", placeholder="as published")
        self._seeds = NumericInput(title="seeds", mode="int", value=1, low=1)
        self._steps = NumericInput(title="steps", mode="int", low=1, placeholder="as published")
        self._train = Button(label="Train", button_type="primary")
        self._stop = Button(label="Stop", disabled=True)
        self._resume = Button(label="Resume", disabled=True)
        self._status = Paragraph(
            text="Nothing is being trained.", styles={"font-size": "15px"}, name="status"
        )
        self._link = Div(text="")
        self._curves = ColumnDataSource(
            {name: [] for name in ("step", "train_loss", "test_loss", "train_accuracy")}
            | {"test_accuracy": []}
        )
        self._lottery = ColumnDataSource({"xs": [], "network": [], "theory": [], "width": []})
        self._figures = self._drawn()
        self._train.on_click(self._start)
        self._stop.on_click(trainer.stop)
        self._resume.on_click(self._go_on)

    @property
    def parts(self) -> list[UIElement]:
        """Everything, in the order of the page."""
        return [
            *(self._preset, self._p, self._seeds, self._steps),
            *(self._train, self._stop, self._resume),
            *(self._status, self._link),
            *self._figures,
        ]

    def watch(self) -> None:
        """Look at the training; called again and again while the page is open."""
        trainer = self._trainer
        running = trainer.running
        self._train.disabled, self._stop.disabled = running, not running
        self._resume.disabled = not trainer.resumable
        if trainer.path is None:
            return
        if self._watched is None or self._watched.path != trainer.path:
            self._watched = Watched(trainer.path)
        run = self._watched.run()
        if run is None:
            if running:
                self._status.text = "Starting; the first steps compile."
            elif trainer.ended:
                self._status.text = visible(f"Not trained: {trainer.ended}")
            return
        self._draw(run)
        self._tell(run, running)

    def _start(self) -> None:
        try:
            config, seeds = self._asked()
            self._trainer.start(config, seeds, self._preset.value.replace("/", "-"))
        except (TypeError, ValueError) as error:
            self._status.text = visible(str(error))
            return
        self._link.text = ""
        self._status.text = "Starting; the first steps compile."
        self._train.disabled, self._stop.disabled = True, False

    def _go_on(self) -> None:
        try:
            self._trainer.resume()
        except ValueError as error:
            self._status.text = visible(str(error))

    def _asked(self) -> tuple[TrainingConfig, list[int]]:
        changes: dict[str, Any] = {}
        if self._p.value is not None:
            changes["p"] = int(self._p.value)
        if self._steps.value is not None:
            steps = int(self._steps.value)
            # A short training is logged and kept often enough to be seen.
            often = max(1, steps // 20)
            changes |= {"steps": steps, "log_every": often, "checkpoint_every": often}
        config = preset(self._preset.value, **changes)
        return config, list(range(config.seed, config.seed + int(self._seeds.value or 1)))

    def _draw(self, run: Any) -> None:
        metrics = run.metrics.load()
        some = metrics.isel(step=slice(None, None, math.ceil(metrics.sizes["step"] / _POINTS)))
        names = [name for name in self._curves.data if name != "step"]
        self._curves.data = {"step": some.step.values} | {
            name: some[name].values.astype(float) for name in names
        }
        loss, accuracy, race = self._figures
        losses = metrics[["train_loss", "test_loss"]].to_array().values
        _reach(loss, run.config.steps, losses[losses > 0])
        _reach(accuracy, run.config.steps)
        assert self._watched is not None
        lottery = self._watched.lottery(run)
        if lottery is None:
            race.visible = False
            return
        _reach(race, run.config.steps, np.append(lottery.network[np.isfinite(lottery.network)], 0))
        count = len(lottery.network)
        named = np.arange(1, count + 1) == lottery.named
        self._lottery.data = {
            "xs": [lottery.steps.astype(float)] * count,
            "network": list(lottery.network),
            "theory": list(lottery.theory),
            "width": np.where(named, 3.0, 1.0),
        }

    def _tell(self, run: Any, running: bool) -> None:
        trainer = self._trainer
        step, last = int(run.metrics.step[-1]), run.metrics.isel(step=-1)
        ended = "" if trainer.ended is None else trainer.ended
        verb = "Training" if running else (f"Ended ({ended})" if ended else "Trained")
        told = f"{verb} {run.path.name}: step {step} of {run.config.steps}, "
        told += f"training loss {float(last.train_loss):.4g}"
        assert self._watched is not None
        lottery = self._watched.lottery(run)
        if lottery is not None:
            leads = int(lottery.network[:, -1].argmax()) + 1
            told += (
                f". Neuron {lottery.neuron}: the blow-up time named frequency {lottery.named}, "
                f"{leads} leads now"
            )
        self._status.text = visible(told + ".")
        if not running and not ended:
            number = self._on_end(run.path)
            self._link.text = f'<a href="?run={number:d}">Explore the run just trained</a>'

    def _drawn(self) -> list[UIElement]:
        # A range that follows data would complain of there being none yet.
        loss = plot(
            "Loss while it trains",
            STEPS,
            "loss",
            x_range=Range1d(0, 1),
            y_range=Range1d(0.1, 1),
            y_axis_type="log",
        )
        accuracy = plot(
            "Accuracy while it trains",
            STEPS,
            "fraction",
            x_range=Range1d(0, 1),
            y_range=Range1d(-0.02, 1.04),
        )
        for figure, name in ((loss, "loss"), (accuracy, "accuracy")):
            for kind, look in (("train", NETWORK_LINE), ("test", {"line_color": SKY})):
                label = f"network, {'training' if kind == 'train' else 'test'}"
                figure.line(
                    "step",
                    f"{kind}_{name}",
                    source=self._curves,
                    line_width=2,
                    legend_label=label,
                    **look,
                )
        lottery = plot(
            "The lottery of one neuron",
            STEPS,
            "output magnitude β",
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
        )
        for kind, look in (("network", NETWORK_LINE), ("theory", THEORY_LINE)):
            label = "network; bold: named at the start" if kind == "network" else "theory"
            lottery.multi_line(
                "xs", kind, source=self._lottery, line_width="width", legend_label=label, **look
            )
        for figure in (loss, accuracy, lottery):
            legend_above(figure)
            figure.visible = False
        return [loss, accuracy, lottery]


def _reach(figure: Any, steps: int, heights: Any = ()) -> None:
    """Show a figure over the whole training and over all these heights, if there are any."""
    figure.visible = True
    figure.x_range.end = steps
    if len(heights):
        low, high = float(np.min(heights)), float(np.max(heights))
        figure.y_range.start, figure.y_range.end = 0.8 * low, 1.25 * high
