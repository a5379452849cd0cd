"""`experiment=deepiv/paper` is what Web Appendix C of Tian et al. (2022) says."""

import pytest
from hydra import compose, initialize_config_dir

from micromega import cli
from micromega.config.validate import validate


@pytest.fixture(scope="module")
def model():
    with initialize_config_dir(config_dir=cli.CONF, version_base="1.3"):
        return validate(compose("train", ["experiment=deepiv/paper"])).model


def test_both_stages_have_the_papers_layers_and_training(model):
    for stage in (model.treatment, model.outcome):
        assert tuple(stage.hidden) == (128, 64, 32)
        assert (stage.activation, stage.dropout) == ("relu", 0.2)
        assert (stage.batch_size, stage.epochs, stage.learning_rate) == (256, 100, 1e-5)
        assert stage.patience is not None  # "with early stopping"
        assert (stage.weight_decay, stage.clip, stage.schedule) == (0.0, None, "constant")  # nothing else is named


def test_ten_gaussians_and_the_unbiased_gradient_without_what_the_paper_does_not_have(model):
    assert model.treatment.components == 10
    assert (model.outcome.estimation, model.outcome.rule, model.outcome.nodes) == ("integral", "monte_carlo", 1)
    assert (model.outcome.smoothness, model.outcome.treatment_scale) == (0.0, 1.0)
    assert (model.starts, model.folds, model.bootstrap) == (1, 1, 0)
