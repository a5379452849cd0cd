"""A checkpoint says what it has seen; evaluating it on brands of its training is refused."""

import copy

import pytest

from micromega.errors import CheckpointError
from micromega.models.mir.config import MIRDataConfig, MIREvaluationConfig, MIRModelConfig
from micromega.models.mir.data import MIRData
from micromega.models.mir.evaluate import evaluate
from micromega.models.mir.module import MIRModule

CONFIG = MIREvaluationConfig(uncertainty_samples=0, bootstrap_samples=0)


@pytest.fixture(scope="module")
def trained(small_market):
    data = MIRData(MIRDataConfig(min_positives=2, hashed_size=32), small_market)
    data.setup("fit")
    module = MIRModule(MIRModelConfig(), data.spec)
    module.attach(data)
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    return checkpoint


def data_of(market, **changes):
    return MIRData(MIRDataConfig(**{"min_positives": 2, "hashed_size": 32, **changes}), market)


def test_the_split_of_training_is_accepted(trained, small_market):
    result = evaluate(CONFIG, checkpoint=trained, data=data_of(small_market), seed=0)
    assert set(result.metrics) == {"MIR", "SBR", "RAND", "POP"}


def test_another_split_of_the_same_market_is_refused(trained, small_market):
    with pytest.raises(CheckpointError, match="held-out brands were in this checkpoint's training"):
        evaluate(CONFIG, checkpoint=trained, data=data_of(small_market, seed=1), seed=1)


def test_another_market_is_scored_with_a_warning(trained, small_market, caplog):
    foreign = copy.deepcopy(trained)
    foreign["micromega_origin"]["market_fingerprint"] = "f" * 64
    evaluate(CONFIG, checkpoint=foreign, data=data_of(small_market, seed=1), seed=1)
    assert "another market" in caplog.text


def test_features_of_another_size_are_refused(trained, small_market):
    with pytest.raises(CheckpointError, match="sizes"):
        evaluate(CONFIG, checkpoint=trained, data=data_of(small_market, hashed_size=16), seed=0)
