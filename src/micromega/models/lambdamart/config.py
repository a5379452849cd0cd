"""Configuration of the gradient-boosted ranker."""

from typing import Annotated

from pydantic import Field

from micromega.config.base import config
from micromega.models.mir.config import Modalities


@config(group="model/lambdamart", target="micromega.models.lambdamart.module:LambdaMARTModule")
class LambdaMARTModelConfig:
    """What the trees see, and how they are grown (Burges 2010; LightGBM's objective lambdarank)."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Draw of the negatives, of the rows and of the columns."""
    modalities: Modalities | None = None
    """Of data.modalities; null: all of them."""
    components: Annotated[int, Field(ge=1)] = 32
    """Longer modalities are reduced to so many main components before products and distances are taken."""
    negatives_per_brand: Annotated[int, Field(ge=1)] | None = 200
    """Creators drawn for each training brand beside its partners; null: all."""
    max_trees: Annotated[int, Field(ge=1)] = 500
    """So many are grown; those up to the best NDCG on the validation brands are kept. Stopping at the first stretch
    without a gain keeps too few: a handful of brands says little about one tree more."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    leaves: Annotated[int, Field(ge=2)] = 15
    """Most leaves of a tree."""
    leaf_size: Annotated[int, Field(ge=1)] = 50
    """Fewest training pairs in a leaf."""
    column_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the columns that a tree may use."""
    row_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of the training pairs that a tree is grown on."""
    l2: Annotated[float, Field(ge=0)] = 20.0
    """Shrinks the values of leaves."""
    truncation: Annotated[int, Field(ge=1)] = 50
    """Only pairs of which one stands above this rank count; also where NDCG is cut for early stopping."""
    threads: Annotated[int, Field(ge=1)] = 1
    """The trees are the same for any number."""
