"""Coverage of bands against draws whose percentiles are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from micromega.models.deepiv.comparison import Truth
from micromega.models.deepiv.coverage import band_coverage
from micromega.models.deepiv.result import Coverage

SLOPES = torch.linspace(0, 1, 101)


class Lines:
    """101 draws of two members each, whose slopes are 0, .01, …, 1 on average, more for posts with a control."""

    members, sizes = 202, {"x": 1}

    def response(self, t, x):
        slope = SLOPES.repeat_interleave(2)[:, None, None] + torch.tensor([-5.0, 5.0]).repeat(101)[:, None, None]
        return (slope + x) * t


def test_shares_are_those_of_known_percentiles():
    """Bands of 90 % reach from .05 to .95, at posts with x = 1 from 1.05 to 1.95."""
    grid = np.linspace(0, 1, 5)
    inside = np.array([False, True, True, True, True])
    kinds = np.array(["low"] * 4 + ["high"] * 4)
    curves = {"low": np.array([0.5, 0.5, 0.96, 0.94, 0.5]), "high": np.full(5, 1.5)}
    x = np.array([0, 0, 0, 1, 1, 1, 0, 0], dtype=np.float64)[:, None]
    found = band_coverage(Lines(), 101, x, grid, inside, Truth(kinds=kinds, curves=curves), 0.9)
    assert found["low"].posts == pytest.approx((3 * 3 + 0) / 16)  # at x = 1 the band begins at 1.05
    assert found["high"].posts == pytest.approx(0.5)
    # averages of draws: .25 and .5 above the slope
    assert found["low"].average == pytest.approx(1.0)
    assert found["high"].average == pytest.approx(0.0)


def test_a_report_says_it_and_only_where_it_is_known():
    from micromega.report.response_words import coverage_words

    coverage = {"linear": Coverage(posts=0.7, average=0.3), "concave": Coverage(posts=0.81, average=0.4)}
    said = coverage_words(SimpleNamespace(coverage=coverage, facts={"level": 0.95})).replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith("Pointwise bands of 95 % over the bootstrap's draws hold")
    assert "average curve: linear 30 %, concave 40 %." in said
    assert said.endswith("The bands in the figures draw creators anew as well, so these shares are not theirs.")
    assert coverage_words(SimpleNamespace(coverage={}, facts={})) is None
