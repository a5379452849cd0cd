"""Figures and tables of a campaign's plan: all data in, nothing unescaped."""

import datetime as dt
import re
from xml.etree import ElementTree as ET

from html_page import Page

from micromega.report import CampaignReport, campaign_plots
from micromega.report.content import BindingLimit, OtherPlan, PlannedPost, RiskPoint
from micromega.report.page import render

UGLY = "<b>ann & co</b>"


def post(creator: str, event: str, price: float, day: int | None) -> PlannedPost:
    date = None if day is None else dt.date(2026, 12, day)
    return PlannedPost(creator=creator, content_type="video", event=event, date=date, price=price, value=1.0)


PLANNED = (post(UGLY, "fair", 10.0, 3), post("bob", "fair", 30.0, 9), post(UGLY, "gala", 5.0, 20))


VOID = {"meta", "br", "hr", "img", "link", "input"}


def text_of(page: str) -> str:
    return Page(page, VOID).text


def words(svg: str) -> list[str]:
    return ["".join(text.itertext()).replace("\N{NO-BREAK SPACE}", " ") for text in ET.fromstring(svg).iter("text")]


def test_the_calendar_has_a_row_for_each_creator_and_a_dot_for_each_post() -> None:
    svg = campaign_plots.calendar([*PLANNED, post("nobody's day", "fair", 1.0, None)])
    shown = words(svg)
    assert [name for name in shown if name in {UGLY, "bob"}] == [UGLY, "bob"]
    assert "nobody's day" not in shown
    dots = re.findall(r'<use [^>]*y="([\d.]+)"', svg)
    assert len(dots) >= 3
    assert len({round(float(y), 2) for y in dots}) >= 2


def test_spend_adds_up_by_creator_and_by_event() -> None:
    shown = words(campaign_plots.spend(PLANNED, currency="EUR"))
    assert [text for text in shown if text.startswith("EUR")] == ["EUR 30", "EUR 15", "EUR 40", "EUR 5"]


def test_many_creators_are_put_together() -> None:
    many = [post(f"creator {i}", "fair", float(100 - i), 1) for i in range(30)]
    shown = words(campaign_plots.spend(many, currency="EUR"))
    assert f"EUR {sum(100 - i for i in range(11, 30)):,}" in shown
    assert "19 others" in shown


def test_risk_names_every_aversion() -> None:
    points = [RiskPoint(rho=rho, expected=10 - rho, deviation=5 - rho, used=rho == 1) for rho in (0.0, 1.0, 2.0)]
    assert {"ρ = 0", "ρ = 1", "ρ = 2"} <= set(words(campaign_plots.risk(points, unit="impressions")))


def test_points_at_one_place_share_a_label() -> None:
    points = [RiskPoint(rho=rho, expected=9.0 - 4 * (rho > 1), deviation=5.0 - (rho > 1)) for rho in (0.0, 0.25, 2.0)]
    shown = words(campaign_plots.risk(points, unit="impressions"))
    assert [text for text in shown if text.startswith("ρ")] == ["ρ = 0, 0.25", "ρ = 2"]


def test_the_page_answers_what_if() -> None:
    report = CampaignReport(
        brand="Acme",
        market="demo",
        currency="EUR",
        budget=50.0,
        planned=PLANNED,
        binding=(BindingLimit(name="at least 2 posts on <i>food</i>", worth=12.0),),
        alternatives=(OtherPlan(question="Alternative 1", value=2.5, lost=0.1, joined=("cy",), left=(UGLY,)),),
        questions=(OtherPlan(question="Why not dee?", value=None, lost=None, reason="No plan <u>works</u>."),),
        risk=(
            RiskPoint(rho=0.0, expected=3.0, deviation=2.0, used=True),
            RiskPoint(rho=1.0, expected=2.0, deviation=1.0),
        ),
    )
    page = render(report)
    for markup in ("<b>ann", "<i>food", "<u>works"):
        assert markup not in page
    text = text_of(page)
    for said in ("at least 2 posts on <i>food</i>", "Alternative 1", "10.0 %", "No plan <u>works</u>.", "What if"):
        assert said in text
    without = text_of(render(CampaignReport(brand="Acme", market="demo", currency="EUR", budget=1.0, planned=())))
    assert "What if" not in without
    assert "Who posts when" not in without
