"""A browser without a network, and small runs of every kind."""

import shutil

import numpy as np
import pytest

from grokode import nets

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as running:
        # A container's root has no user namespaces to make a sandbox of.
        opened = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that reaches nothing but this machine, and must not complain."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    complaints, outside = [], []

    def here_only(route):
        if route.request.url.startswith(("file://", "http://localhost", "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", here_only)
    opened = context.new_page()
    # A busy machine may starve it for minutes; nothing waits so long but what never comes.
    opened.set_default_timeout(600_000)
    opened.on(
        "console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []
    assert outside == []


@pytest.fixture(scope="session")
def grokked(tmp_path_factory):
    """p = 5 with pairs held out: every view of a two-layer network has something to show."""
    config = nets.TrainingConfig(
        p=5,
        neurons=10,
        activation="quadratic",
        optimizer="sgd",
        learning_rate=0.05,
        train_fraction=0.8,
        initial="gaussian",
        scale=0.3,
        seed=1,
        steps=400,
        checkpoint_every=40,
        log_every=10,
    )
    return nets.train(config, tmp_path_factory.mktemp("explored") / "<b>run & co")


@pytest.fixture(scope="session")
def transformer(tmp_path_factory):
    config = nets.preset(
        "nanda2023/small",
        p=5,
        train_fraction=0.8,
        steps=40,
        checkpoint_every=10,
        log_every=10,
        width=8,
        heads=2,
        neurons=8,
    )
    return nets.train(config, tmp_path_factory.mktemp("explored") / "transformer")


@pytest.fixture(scope="session")
def parity(tmp_path_factory):
    """A recurrent network that has learned parity of up to four symbols; a second or two."""
    config = nets.preset(
        "vanrossem2025/parity", length=4, neurons=20, steps=40, checkpoint_every=10, log_every=10
    )
    return nets.train(config, tmp_path_factory.mktemp("explored") / "parity")


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield
