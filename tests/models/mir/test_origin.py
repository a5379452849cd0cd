"""A checkpoint says what it has seen; evaluating it on brands of its training is refused."""

import copy

import pytest

from micromega.errors import CheckpointError
from micromega.models.lambdamart.config import LambdaMARTModelConfig
from micromega.models.lambdamart.module import LambdaMARTModule
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


OTHERWISE = [
    ({"scaling": "power"}, r"data\.scaling=standard \(power here\)"),
    ({"pooling": "weighted"}, r"data\.pooling=average \(weighted here\)"),
    ({"history": 3}, r"data\.history=50 \(3 here\)"),
]


@pytest.mark.parametrize(("changes", "words"), OTHERWISE)
def test_features_that_are_made_otherwise_are_refused(trained, small_market, changes, words):
    with pytest.raises(CheckpointError, match=words):
        evaluate(CONFIG, checkpoint=trained, data=data_of(small_market, **changes), seed=0)


def test_and_so_they_are_on_another_market(trained, small_market):
    foreign = copy.deepcopy(trained)
    foreign["micromega_origin"]["market_fingerprint"] = "f" * 64
    with pytest.raises(CheckpointError, match=r"data\.scaling=standard"):
        evaluate(CONFIG, checkpoint=foreign, data=data_of(small_market, scaling="power"), seed=0)


def test_and_so_they_are_by_trees_and_where_training_goes_on(trained, small_market):
    data = data_of(small_market, scaling="power")
    data.setup("fit")
    for module in (MIRModule(MIRModelConfig(), data.spec), LambdaMARTModule(LambdaMARTModelConfig(), data.spec)):
        module.attach(data)
        with pytest.raises(CheckpointError, match=r"data\.scaling=standard"):
            module.on_load_checkpoint(trained)
    own = data_of(small_market)
    own.setup("fit")
    trees = LambdaMARTModule(LambdaMARTModelConfig(), own.spec)
    trees.attach(own)
    checkpoint = {"state_dict": trees.state_dict(), "hyper_parameters": dict(trees.hparams)}
    trees.on_save_checkpoint(checkpoint)
    LambdaMARTModule.restore(checkpoint).attach(own)
    with pytest.raises(CheckpointError, match=r"data\.scaling=standard"):
        LambdaMARTModule.restore(checkpoint).attach(data)


def test_settings_of_modalities_that_are_not_made_do_not_matter(trained, small_market):
    changes = {"gamma": 0.9, "word_buckets": 16, "local_response_normalisation": True, "brand_posts": "own"}
    evaluate(CONFIG, checkpoint=trained, data=data_of(small_market, **changes), seed=0)


def test_word_vectors_are_known_by_what_they_hold(small_market, tmp_path):
    for name, value in (("a", 1.0), ("copy", 1.0), ("b", 2.0)):
        (tmp_path / name).write_text(f"shoes {value}\n")
    one, copied, other = (
        data_of(small_market, word_vectors=str(tmp_path / name)).feature_settings for name in ("a", "copy", "b")
    )
    assert one == copied != other


def test_the_order_of_pictures_matters(small_market):
    settings = [
        data_of(small_market, modalities=("visual",), visual=order).feature_settings
        for order in (("image_frames", "image_objects"), ("image_objects", "image_frames"))
    ]
    assert settings[0] != settings[1]


def test_a_checkpoint_of_an_earlier_version_is_taken(trained, small_market):
    old = copy.deepcopy(trained)
    del old["micromega_origin"]["features"]
    evaluate(CONFIG, checkpoint=old, data=data_of(small_market), seed=0)
