"""Campaigns in waves against linear programming, conjugate updates by hand and a game played wave by wave."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import norm

from micromega.errors import ConfigError, DataError
from micromega.solvers.adaptive import POLICIES, WavesProblem, begin, clairvoyant_bound, draw_effects, play, update
from micromega.solvers.adaptive.relaxation import dual_value, price_of_budget


def draw(seed: int, *, creators: int = 30, kinds: int = 3, waves: int = 8, std: float = 1.0) -> WavesProblem:
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(0, 0.8, creators)).repeat(kinds)
    arms = creators * kinds
    steps = np.tile([1.0, 1.7, 2.6][:kinds], creators)
    mean = size * np.tile([1.0, 1.5, 2.0][:kinds], creators) * np.exp(rng.normal(0, 0.3, arms))
    price = size**0.8 * steps * np.exp(rng.normal(0, 0.2, arms))
    cap = rng.integers(1, 5, creators)
    return WavesProblem(
        creator=np.repeat(np.arange(creators), kinds),
        price=price,
        mean=mean,
        std=0.5 * std * mean,
        noise=0.6 * mean,
        budget=float(0.3 * (cap * price.reshape(creators, kinds).min(axis=1)).sum()),
        waves=waves,
        cap=cap,
    )


@pytest.mark.parametrize("seed", range(8))
def test_clairvoyant_bound_is_the_value_of_the_linear_program(seed: int) -> None:
    problem = draw(seed, creators=12)
    effect = draw_effects(problem, np.random.default_rng(seed))
    posts = np.minimum(problem.cap, problem.waves).astype(float)
    of_creator = (problem.creator[None] == np.arange(len(posts))[:, None]).astype(float)
    solved = linprog(
        -effect, A_ub=np.vstack([problem.price, of_creator]), b_ub=np.append(problem.budget, posts), bounds=(0, None)
    )
    bound = clairvoyant_bound(effect, problem.price, problem.creator, posts, problem.budget)
    assert bound == pytest.approx(-solved.fun, rel=1e-9)
    at = price_of_budget(effect, problem.price, problem.creator, posts, problem.budget)
    for other in (0.0, 0.5 * at, 2 * at + 0.1):
        assert dual_value(other, effect, problem.price, problem.creator, posts, problem.budget) >= bound - 1e-9


def test_a_budget_that_does_not_bind_has_no_price() -> None:
    problem = draw(0)
    posts = problem.cap.astype(float)
    assert price_of_budget(problem.mean, problem.price, problem.creator, posts, 1e9) == 0


def test_the_posterior_is_that_of_a_grid() -> None:
    problem = draw(1, creators=2, kinds=1)
    chosen, outcome = np.array([True, False]), np.array([2.0, 7.0])
    state = update(dataclasses.replace(problem, budget=1e6), begin(problem), chosen, outcome)
    grid = np.linspace(-20, 20, 400_001)
    weight = norm.pdf(grid, problem.mean[0], problem.std[0]) * norm.pdf(2.0, grid, problem.noise[0])
    weight /= weight.sum()
    mean = grid @ weight
    assert state.mean[0] == pytest.approx(mean, rel=1e-6)
    assert state.variance[0] == pytest.approx((grid - mean) ** 2 @ weight, rel=1e-6)
    assert (state.mean[1], state.variance[1]) == (problem.mean[1], problem.std[1] ** 2)
    assert state.left.tolist() == [problem.cap[0] - 1, problem.cap[1]]


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_keeps_the_rules_and_the_bound(name: str) -> None:
    for seed in range(6):
        problem = draw(seed)
        effect = draw_effects(problem, np.random.default_rng(seed))
        played = play(problem, effect, POLICIES[name], seed=seed)
        posts = np.stack([np.bincount(problem.creator[wave], minlength=len(problem.cap)) for wave in played.chosen])
        assert posts.max() <= 1
        assert np.all(posts.sum(axis=0) <= problem.cap)
        assert played.spend.sum() <= problem.budget * (1 + 1e-9)
        assert played.expected.sum() <= played.bound * (1 + 1e-9)
        assert played.expected.sum() == pytest.approx(sum(effect[wave].sum() for wave in played.chosen))
        again = play(problem, effect, POLICIES[name], seed=seed)
        np.testing.assert_array_equal(played.chosen, again.chosen)


def test_learning_is_worth_its_while() -> None:
    shares = {
        name: np.mean(
            [
                play(problem := draw(seed, waves=10), draw_effects(problem, np.random.default_rng(seed)), policy).share
                for seed in range(12)
            ]
        )
        for name, policy in POLICIES.items()
    }
    assert shares["optimistic"] > shares["plan_once"] + 0.02
    assert shares["plan_once"] > shares["random"] + 0.1


def test_known_effects_are_bought_like_the_linear_program_says() -> None:
    problem = dataclasses.replace(draw(3, creators=200, waves=4), std=np.zeros(600))
    played = play(problem, problem.mean, POLICIES["greedy"])
    assert played.share > 0.95


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"price": np.array([1.0, 0.0])}, DataError, "price of 1 arms is not positive"),
        ({"mean": np.array([1.0, np.nan])}, DataError, "mean of 1 arms is not finite"),
        ({"noise": np.ones(3)}, DataError, "noise has shape"),
        ({"creator": np.array([0, 5])}, DataError, "creator codes"),
        ({"waves": 0}, ConfigError, "one wave or more"),
        ({"waves": 2.5}, ConfigError, "whole number"),
        ({"cap": 2}, DataError, "cap must be one row of whole numbers"),
        ({"cap": np.array([1.9, 0.9])}, DataError, "cap must be one row of whole numbers"),
        ({"budget": -1.0}, ConfigError, "must not be negative"),
    ],
)
def test_malformed_campaigns_are_named(change: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        dataclasses.replace(draw(0, creators=2, kinds=1), **change)


def test_waves_that_break_rules_are_refused() -> None:
    problem = draw(0, creators=2, kinds=2)
    state, nothing = begin(problem), np.zeros(4)
    with pytest.raises(ConfigError, match="more than once"):
        update(problem, state, np.array([1, 1, 0, 0], bool), nothing)
    with pytest.raises(ConfigError, match="that are left"):
        update(dataclasses.replace(problem, budget=0.1), state, np.array([1, 0, 0, 0], bool), nothing)
    with pytest.raises(ConfigError, match="no posts left"):
        update(problem, dataclasses.replace(state, left=np.zeros(2, int)), np.array([1, 0, 0, 0], bool), nothing)
    with pytest.raises(ConfigError, match="waves are done"):
        update(problem, dataclasses.replace(state, wave=problem.waves), np.zeros(4, bool), nothing)
    rich = dataclasses.replace(problem, budget=1e6)
    with pytest.raises(DataError, match="finite"):
        update(rich, state, np.array([1, 0, 0, 0], bool), np.full(4, np.nan))


@pytest.mark.filterwarnings("ignore:.*A Box observation space")  # effects may be any number
def test_the_environment_plays_the_same_game() -> None:
    environment = pytest.importorskip("micromega.solvers.adaptive.environment")
    checker = pytest.importorskip("gymnasium.utils.env_checker")
    problem = draw(4, creators=6, waves=5)
    env = environment.WavesEnv(problem)
    checker.check_env(env, skip_render_check=True)
    env.reset(seed=3)
    state, total, ended = begin(problem), 0.0, False
    rng = np.random.default_rng(0)
    while not ended:
        chosen = POLICIES["optimistic"](problem, state, rng)
        seen, _, ended, cut, about = env.step(chosen.astype(np.int8))
        assert about["broken"] == ""
        assert not cut
        total += about["expected"]
        state = dataclasses.replace(
            begin(problem),
            wave=problem.waves - int(seen["waves_left"][0]),
            mean=seen["mean"],
            variance=seen["std"] ** 2,
            left=seen["posts_left"],
            spent=problem.budget - float(seen["money_left"][0]),
        )
    assert 0 < about["share"] <= 1
    assert total > 0
    env.reset(seed=3)
    _, reward, _, _, about = env.step(np.ones(len(problem), np.int8))
    assert "more than once" in about["broken"]
    assert reward == 0


def test_a_campaign_that_should_not_have_been_has_no_share() -> None:
    problem = draw(0, creators=2, kinds=1)
    lost = play(problem, -np.ones(2), POLICIES["plan_once"])
    assert lost.bound == 0
    assert lost.expected.sum() < 0
    assert lost.share == -np.inf
