"""Figures: marks agree with the data, colours follow the page, any text is safe."""

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from micromega.report import plots
from micromega.report.content import Calibration, Offers, TrainingRun
from micromega.scores import Reliability


def polyline(svg, variable):
    """Points of the first drawn line of a colour, (N, 2)."""
    for path in ET.fromstring(svg).iter("path"):
        if f"stroke: var(--{variable})" in path.get("style", "") and "clip-path" in path.attrib:
            return np.array(re.findall(r"[ML] (\S+) (\S+)", path.get("d")), dtype=float)
    raise AssertionError("no such line")


def test_the_budget_line_has_the_data_s_shape(curve):
    points = polyline(
        plots.budget_curve(
            curve([0.0, 100.0, 200.0], [0.0, 10.0, 15.0]), budget=100.0, currency="EUR", unit="engagements"
        ),
        "accent",
    )
    x, y = points[:, 0], -points[:, 1]  # SVG counts downwards
    np.testing.assert_allclose((x - x[0]) / (x[-1] - x[0]), [0, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose((y - y[0]) / (y[-1] - y[0]), [0, 2 / 3, 1], atol=1e-6)


def test_budgets_without_a_plan_are_left_out(curve):
    points = polyline(
        plots.budget_curve(curve([0.0, 100.0, 200.0], [np.nan, 10.0, 15.0]), budget=100.0, currency="EUR", unit="u"),
        "accent",
    )
    assert len(points) == 2


def test_every_chosen_offer_is_drawn_and_the_rest_is_thinned():
    n = 4000
    rng = np.random.default_rng(0)
    chosen = np.zeros(n, bool)
    chosen[[3, 77, 3999]] = True
    offers = Offers(price=rng.uniform(1, 9, n), value=rng.uniform(1, 9, n), chosen=chosen)
    svg = plots.offers_plot(offers, currency="EUR", unit="engagements", marginal_value=1.0)
    marks = [use.get("style") for use in ET.fromstring(svg).iter("use")]
    assert sum("fill: var(--accent)" in style for style in marks) == 3
    assert 1000 < sum("fill: var(--muted)" in style for style in marks) <= plots.MOST_POINTS + 100
    assert "4,000 offers, of which 3 are in the plan." in svg


def test_mean_of_runs_is_the_mean():
    runs = [
        TrainingRun(label="a", epoch=np.array([0, 1, 2]), loss=np.array([3.0, 1.0, 0.0])),
        TrainingRun(label="b", epoch=np.array([0, 1]), loss=np.array([1.0, np.nan])),
    ]
    epoch, mean = plots._mean_line([(run.epoch, run.loss) for run in runs])
    assert (epoch.tolist(), mean.tolist()) == ([0, 1, 2], [2.0, 1.0, 0.0])
    loss, validation = plots.training_plot(runs, metric="AUC")
    assert "2 runs and their mean" in loss
    assert validation is None


def test_colours_fonts_and_sizes_belong_to_the_page(curve):
    rates = np.array([0.1, 0.4])
    reliability = Reliability(predicted=rates, observed=rates, lower=rates / 2, upper=rates * 2, count=np.array([9, 9]))
    run = TrainingRun(label="a", epoch=np.arange(3), loss=np.ones(3), validation=np.ones(3))
    for svg in (
        plots.budget_curve(curve([0.0, 100.0, 200.0], [0.0, 10.0, 15.0]), budget=100.0, currency="EUR", unit="u"),
        plots.calibration_plot(Calibration(curve=reliability, error=0.0)),
        *plots.training_plot([run], metric="AUC"),
    ):
        assert not re.search(r"#[0-9a-f]{6}\b", svg)
        assert set(re.findall(r"var\((--\w+)\)", svg)) <= {
            "--ink",
            "--muted",
            "--rule",
            "--accent",
            "--warm",
            "--paper",
        }
        assert "DejaVu" not in svg
        assert "font-size" in svg
        root = ET.fromstring(svg)
        assert set(root.attrib) == {"viewBox", "class", "role", "aria-labelledby"}
        assert [child.tag for child in root][:2] == ["title", "desc"]


@pytest.mark.parametrize(
    "text", ["US$", "$\\frac{1}{2}$", "<b>&\"'", "€ 名前", "a_b^c %", "</title></svg><img src=x onerror=alert(1)>"]
)
def test_any_text_is_drawn_as_it_is(text, curve):
    svg = plots.budget_curve(curve([0.0, 100.0, 200.0], [0.0, 10.0, 15.0]), budget=100.0, currency=text, unit=text)
    words = ["".join(element.itertext()) for element in ET.fromstring(svg).iter("text")]
    assert f"budget ({text})" in words
    assert f"{text} of the best plan" in words


def test_long_texts_leave_room_for_the_figure(curve):
    svg = plots.budget_curve(
        curve([0.0, 100.0, 200.0], [0.0, 10.0, 15.0]), budget=100.0, currency="x " * 500, unit="y" * 500
    )
    assert len(polyline(svg, "accent")) == 3


def test_the_caller_s_matplotlib_is_left_as_it_was(curve):
    before = dict(mpl.rcParams)
    plots.budget_curve(curve([0.0, 100.0, 200.0], [0.0, 10.0, 15.0]), budget=100.0, currency="EUR", unit="u")
    assert dict(mpl.rcParams) == before
