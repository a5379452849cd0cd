"""Two rankers as one, against scipy and by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import zscore

from micromega.errors import CheckpointError, ConfigError
from micromega.market import simulate
from micromega.models.mir.blend import Blend, Member
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.models.mir.module import MIRModule

QUICK = {"uncertainty_samples": 0, "bootstrap_samples": 0, "cases": 0}


@pytest.fixture(scope="module")
def market():
    return simulate(seed=0, brands=24, creators=120, posts=10)


def data_of(market, **changes):
    return MIRData(MIRDataConfig(**{"min_positives": 2, "hashed_size": 32, **changes}), market)


def checkpoint_of(data, seed, **changes):
    data.setup("test")
    torch.manual_seed(seed)
    module = MIRModule(MIRModelConfig(**changes), data.spec)
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    return checkpoint


def member_of(data, seed=1, **changes):
    return Member(checkpoint=checkpoint_of(data, seed, **changes), sha256="0" * 64, model=MIRModule, data=data)


def result_of(market, members, **changes):
    data = data_of(market)
    config = MIREvaluationConfig(**{**QUICK, **changes})
    return evaluate(config, checkpoint=checkpoint_of(data, 0), data=data, seed=0, members=members)


class Fixed:
    """A scorer of given scores, which counts how often it is asked."""

    device = torch.device("cpu")

    def __init__(self, scores, dropout=0.0):
        self.scores, self.config, self.asked = torch.tensor(scores), SimpleNamespace(dropout=dropout), 0

    def attach(self, data, *, held_out=False):
        pass

    def score(self, brands):
        self.asked += 1
        return self.scores[brands]

    def train(self, mode=True):
        return self


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.9])
def test_scores_are_weighted_means_of_standard_scores(market, weight):
    alone = result_of(market, {})
    mixed = result_of(market, {"other": member_of(data_of(market))}, blend_weight=weight)
    data = data_of(market)
    other = evaluate(MIREvaluationConfig(**QUICK), checkpoint=checkpoint_of(data, 1), data=data, seed=0)
    expected = (1 - weight) * zscore(alone.test.scores, axis=1) + weight * zscore(other.test.scores, axis=1)
    np.testing.assert_allclose(mixed.test.scores, expected, atol=1e-6)
    assert list(mixed.metrics) == ["MIR + other", "MIR", "other", "SBR", "RAND", "POP"]
    assert mixed.metrics["MIR"] == pytest.approx(alone.metrics["MIR"])
    assert mixed.metrics["other"] == pytest.approx(other.metrics["MIR"])


def test_a_member_sees_the_features_that_it_was_trained_on(market):
    mixed = result_of(market, {"words": member_of(data_of(market, hashed_size=64, scaling="power"))})
    assert np.isfinite(mixed.test.scores).all()


def test_several_members_share_the_weight_and_equal_scores_count_nothing():
    own, first, flat = Fixed([[1.0, 2.0, 3.0]]), Fixed([[30.0, 10.0, 20.0]]), Fixed([[7.0, 7.0, 7.0]])
    scores = Blend(own, [(first, None), (flat, None)], 0.5).score(torch.tensor([0]))
    unit = 1.5**0.5
    np.testing.assert_allclose(scores.numpy(), [[-0.5 * unit + 0.25 * unit, -0.25 * unit, 0.5 * unit]])


def test_only_rankers_with_dropout_are_asked_at_every_pass():
    own, member = Fixed([[1.0, 2.0]], dropout=0.5), Fixed([[1.0, 2.0]])
    blend = Blend(own, [(member, None)], 0.5)
    for _ in range(3):
        blend.score(torch.tensor([0]))
    assert (own.asked, member.asked) == (3, 1)
    blend.attach(None)
    blend.score(torch.tensor([0]))
    assert (own.asked, member.asked) == (4, 2)
    assert blend.config.dropout == 0.5


def test_members_that_rank_others_are_refused(market):
    with pytest.raises(ConfigError, match=r"evaluation.blend.few: it ranks .* Train both with the same data.min_posts"):
        result_of(market, {"few": member_of(data_of(market, min_posts=9))})


def test_members_that_have_seen_held_out_brands_are_refused(market):
    with pytest.raises(CheckpointError, match=r"evaluation.blend.late: .* held-out brands were in this"):
        result_of(market, {"late": member_of(data_of(market, seed=5))})


def test_a_smaller_share_of_validation_brands_leaves_the_others_unseen(market):
    """The splits of a seed are nested, so that a model that chooses by more brands can join one that trains on more."""
    few = data_of(market, validation_share=0.1)
    config = MIREvaluationConfig(**QUICK)
    members = {"many": member_of(data_of(market, validation_share=0.3))}
    mixed = evaluate(config, checkpoint=checkpoint_of(few, 0), data=few, seed=0, members=members)
    assert "many" in mixed.metrics


def test_names_of_other_rows_are_refused(market):
    with pytest.raises(ConfigError, match=r"evaluation.blend.SBR: .* another row"):
        result_of(market, {"SBR": member_of(data_of(market))})


def test_a_blend_has_no_vectors(market):
    data = data_of(market)
    with pytest.raises(ConfigError, match="a blend has no embeddings"):
        evaluate(
            MIREvaluationConfig(**QUICK),
            checkpoint=checkpoint_of(data, 0),
            data=data,
            seed=0,
            members={"other": member_of(data_of(market))},
            retrieve="exact",
        )
