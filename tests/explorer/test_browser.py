"""The page and the server in a real browser, with nothing outside this machine to be reached."""

import http.client
import re
import threading

import pytest

from grokode.compare.common.observe import observed_winners
from grokode.compare.explorer import server as serving
from grokode.compare.explorer.page import write_explorer

P = "p (odd)"
CUT_LEGENDS = """() => [...Bokeh.index.roots].filter(root => {
  const legend = root.model.above?.find(one => one.type === "Legend")
  const box = legend && Bokeh.index.find_one(legend).bbox
  return box && root.bbox.width > 0 && (box.left < 0 || box.right > root.bbox.width)
}).map(root => root.model.title.text)"""
"""Titles of the figures whose legend is wider than they are."""


def told(page, words):
    """The sentence that holds some words."""
    return page.get_by_text(re.compile(words)).first


def choose(page, title, label):
    page.get_by_label(title, exact=True).select_option(label=label)


def enter(page, title, value):
    field = page.get_by_label(title, exact=True)
    field.fill(str(value))
    field.press("Enter")


def neuron_label(run, neuron):
    """A neuron as the list of neurons has it."""
    return f"{neuron}, ends on {int(observed_winners(run).sel(neuron=neuron))}"


@pytest.fixture(scope="module")
def file(grokked, transformer, parity, tmp_path_factory):
    runs = [grokked, transformer, parity]
    return write_explorer(runs, tmp_path_factory.mktemp("page") / "page.html")


def test_a_page_from_disk_is_linked(file, page, grokked):
    page.goto(file.as_uri())
    told(page, r"^Step 400: training loss").wait_for()
    # By keyboard alone, as by mouse: the handle of the slider has the focus.
    handle = page.locator(".noUi-handle").first
    handle.focus()
    handle.press("ArrowLeft")
    told(page, r"^Step 360: training loss").wait_for()
    told(page, r"^Right at step 360:").wait_for()
    choose(page, "neuron", neuron_label(grokked, 3))
    told(page, r"^Neuron 3 ends on frequency").wait_for()
    told(page, r"^Neuron 3: frequency . blows up first").wait_for()
    choose(page, "predictor", "misalignment")
    told(page, r"^misalignment names the winners of").wait_for()
    told(page, r"^Neuron 3 ends on .*misalignment names.*ranks only").wait_for()


def test_a_click_in_the_plane_chooses_the_neuron(file, page):
    page.goto(file.as_uri())
    before = told(page, r"^Neuron \d+ ends on").inner_text()
    now = int(re.search(r"\d+", before)[0])
    place = page.evaluate(
        """now => {
          const plane = [...Bokeh.index.roots].find(one => one.model.name === "run0-race-part-0")
          const dots = plane.model.renderers.find(one => one.data_source.data.neuron)
          const {neuron, misalignment, beta} = dots.data_source.data
          const x = plane.frame.x_scale, y = plane.frame.y_scale
          plane.el.scrollIntoView({block: "center"})
          const box = plane.el.getBoundingClientRect()
          // One that no other dot lies upon.
          const at = [...neuron.keys()].map(i => [x.compute(misalignment[i]), y.compute(beta[i])])
          for (const [i, n] of neuron.entries()) {
            if (n === now) continue
            const free = at.every(([u, v], j) => j === i ||
                                  Math.hypot(u - at[i][0], v - at[i][1]) > 14)
            const inside = plane.frame.bbox.contains(...at[i])
            if (free && inside) return [n, box.x + at[i][0], box.y + at[i][1]]
          }
        }""",
        now,
    )
    neuron, x, y = place
    page.mouse.click(x, y)
    told(page, rf"^Neuron {neuron} ends on frequency").wait_for()


def test_another_run_of_the_page_is_chosen_by_its_name(file, page):
    page.goto(file.as_uri())
    page.get_by_label("transformer").check()
    page.locator("#run-1").get_by_text("The network works with the key frequencies").wait_for()
    assert page.locator("#run-0").is_hidden()
    assert page.get_by_label("<b>run & co").is_visible()


def test_a_page_fits_a_phone(file, page):
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(file.as_uri())
    told(page, r"^Step 400: training loss").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    for run in ("transformer", "parity"):
        page.get_by_label(run, exact=True).check()
        page.wait_for_function("Bokeh.documents[0].is_idle")
    assert page.evaluate(CUT_LEGENDS) == []


def test_no_figure_is_cut_on_paper(file, page):
    page.goto(file.as_uri())
    told(page, r"^Step 400: training loss").wait_for()
    # In the order in which a browser prints.
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 990})  # A4 at 96 dots an inch, with margins
    figures = page.locator("#run-0 .figure")
    assert figures.count() > 15
    for figure in figures.all():
        drawn = figure.locator(":scope > svg")
        box = drawn.bounding_box()
        assert 200 < box["width"] <= 700
        assert drawn.locator("text").count() > 3
        assert figure.locator(":scope > div").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


def test_a_recurrent_network_has_its_automaton_at_every_step(file, page):
    page.goto(file.as_uri())
    page.get_by_label("parity", exact=True).check()
    run = page.locator("#run-2")
    run.get_by_text(re.compile(r"^At step 40 the hidden states make")).wait_for()
    drawn = """() => {
      const figure = [...Bokeh.index.roots].find(one => one.model.name === "run2-states-part-1")
      const [arrows] = figure.model.renderers
      return [...arrows.data_source.data.x].filter(Number.isFinite).length
    }"""
    assert page.evaluate(drawn) > 0
    handle = run.locator(".noUi-handle").first
    handle.focus()
    handle.press("Home")
    run.get_by_text(re.compile(r"^At step 0 the hidden states make")).wait_for()
    run.get_by_text("Views that this run cannot fill").wait_for()


@pytest.fixture
def served(grokked, transformer, parity, tmp_path, monkeypatch):
    """A server in a thread, which the test ends."""
    hall = serving.Hall([grokked, transformer, parity], tmp_path)
    hall.measure()
    ready, addresses, servers = threading.Event(), [], []

    def run():
        # Signals belong to the main thread; a command's server has it to itself.
        monkeypatch.setattr(serving.Server, "run_until_shutdown", lambda self: self.io_loop.start())
        make = serving.Server.__init__

        def remember(self, *args, **settings):
            make(self, *args, **settings)
            servers.append(self)

        monkeypatch.setattr(serving.Server, "__init__", remember)
        serving.serve(hall, 0, lambda address: (addresses.append(address), ready.set()))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    yield addresses[0], hall
    servers[0].io_loop.add_callback(servers[0].io_loop.stop)
    thread.join(30)
    assert not thread.is_alive()


def test_a_served_page_shows_networks_of_other_kinds(served, page):
    address, _ = served
    for number, words in (
        (1, r"^Step {}: training loss"),
        (2, r"^At step {} the hidden states make"),
    ):
        page.goto(f"{address}?run={number}")
        told(page, words.format(40)).wait_for()
        handle = page.locator(".noUi-handle").first
        handle.focus()
        handle.press("ArrowLeft")
        told(page, words.format(30)).wait_for()
        told(page, "^Views that this run cannot fill").wait_for()
    page.get_by_role("link", name="transformer").click()
    told(page, "^The network works with the key frequencies").wait_for()


@pytest.mark.slow
def test_a_served_page_trains(served, page, grokked, tmp_path):
    address, _ = served
    page.goto(address)
    told(page, r"^Step 400: training loss").wait_for()
    choose(page, "neuron", neuron_label(grokked, 3))
    told(page, r"^Neuron 3 ends on frequency").wait_for()
    enter(page, P, 4)
    enter(page, "steps", 10)
    train = page.get_by_role("button", name="Train", exact=True)
    train.click()
    told(page, "p must be odd").wait_for()
    enter(page, P, 5)
    train.click()
    told(page, r"^Trained he2026-standard-1: step 10 of 10").wait_for()
    run = serving.open_run(tmp_path / "he2026-standard-1")
    assert (run.config.p, run.weights.step.values.tolist()) == (5, list(range(11)))
    page.get_by_role("link", name="Explore the run just trained").click()
    told(page, r"^Step 10: training loss").wait_for()


@pytest.mark.slow
def test_a_served_training_is_stopped_and_resumed(served, page):
    """Of so many steps that it cannot end by itself in between."""
    address, hall = served
    page.goto(address)
    told(page, r"^Step 400: training loss").wait_for()
    enter(page, P, 5)
    enter(page, "steps", 100_000)
    page.get_by_role("button", name="Train", exact=True).click()
    reached = 0
    for button in ("Stop", "Resume"):
        told(page, r"^Training he2026-standard-1: step").wait_for()
        page.get_by_role("button", name="Stop", exact=True).click()
        told(page, r"^Ended \(stopped\) he2026-standard-1").wait_for()
        now = int(serving.open_run(hall.trainer.path).weights.step[-1])
        assert reached <= now < 100_000
        assert hall.trainer.resumable
        reached = now
        if button == "Stop":
            page.get_by_role("button", name="Resume", exact=True).click()


def test_a_page_of_another_origin_gets_no_socket(served):
    address, _ = served
    asking = http.client.HTTPConnection(address.split("/")[2])
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Origin": "http://elsewhere.example",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    asking.request("GET", "/ws", headers=headers)
    assert asking.getresponse().status == 403
    asking.close()


def test_a_port_in_use_is_one_line(served, grokked, tmp_path):
    address, _ = served
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(OSError, match=rf"^port {port} is in use; choose another with --port"):
        serving.serve(serving.Hall([grokked], tmp_path), port, print)
