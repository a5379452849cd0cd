"""Configuration of DFIV; Deep IV's data and evaluation serve it too."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from micromega.config.base import config

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
_SHARE = 0.1


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class FeatureConfig:
    """A network that makes features, and how often it moves in a step."""

    hidden: tuple[Positive, ...]
    """Units of the hidden layers; none: features are linear."""
    features: Positive
    """How many."""
    updates: Positive
    """Of this network in one step of training; the ridge regressions are solved anew for each."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Of Adam, on weights and biases, beside a loss of standardised outcomes. The paper's code has 0.1 for the controls
    beside a sum of squares in raw units, where it is nothing; here it would flatten the response."""


@config(group="model/dfiv", target="micromega.models.dfiv.module:DFIVModule")
class DFIVModelConfig:
    """Three networks of features and two ridge regressions (Xu et al. 2021, section 3.2).

    bootstrap × starts of them ("members") are trained at once; what the model says is their mean.
    """

    instrument: FeatureConfig = FeatureConfig(hidden=(128, 64), features=32, updates=5)
    """Of instruments and controls."""
    treatment: FeatureConfig = FeatureConfig(hidden=(32,), features=4, updates=1)
    """Of the treatment. With one, all rows have one curve up to its height and place; more let shapes differ."""
    control: FeatureConfig = FeatureConfig(hidden=(128, 32), features=16, updates=5)
    """Of the controls; they multiply those of the treatment."""
    activation: Literal["silu", "relu"] = "silu"
    """silu: its derivative is smooth, and an elasticity is a derivative; relu: the paper."""
    first_penalty: Annotated[float, Field(gt=0)] = 0.1
    """Ridge of stage 1, on coefficients of features with variance 1, where their mean squared error is taken."""
    second_penalty: Annotated[float, Field(gt=0)] = 0.1
    """Ridge of stage 2, on coefficients of the features as they are, which may grow to make it small."""
    epochs: Positive = 100
    """With train.py where trainer.max_epochs is null."""
    batch_size: Positive = 512
    """Rows of each half in a step; a half with fewer is taken whole. The paper takes all, and moves the first and third
    network 20 times: here steps are smaller and more, for less time and no worse a response on the demand design."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    starts: Positive = 1
    """Members that differ in their first weights, in the rows held out and in the halves, for each draw."""
    bootstrap: Count = 0
    """Draws of clusters with replacement; 0: the data as they are."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = _SHARE
    """Clusters held out of each member to choose its epoch, where no bootstrap leaves any out."""
    folds: ClassVar[int] = 1
    """Members leave out no folds: the halves of a member keep its stages apart. No setting."""

    @model_validator(mode="after")
    def _no_idle_setting(self) -> Self:
        if self.bootstrap and self.validation_share != _SHARE:
            raise ValueError(
                "model.validation_share is for model.bootstrap=0: a draw leaves clusters out by itself. Set that, or "
                "leave model.validation_share out"
            )
        if self.activation != "silu" and not (self.instrument.hidden or self.treatment.hidden or self.control.hidden):
            raise ValueError("model.activation is for hidden layers, and there are none: leave model.activation out")
        return self
