"""What estimators and evaluation ask of a trained model of a response, whichever it is.

Shapes: E members, B rows, M treatments of a row, X controls.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from micromega.models.deepiv.config import DeepIVModelConfig
    from micromega.models.deepiv.members import MemberConfig


class Response(Protocol):
    """h(t, x) of all members at once."""

    @property
    def members(self) -> int:
        """E."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Numbers of instruments ("z") and of controls ("x")."""

    def response(self, t: Tensor, x: Tensor) -> Tensor:
        """E[y | do(t), x]; (E or 1, B, M) and (E or 1, B, X) -> (E, B, M), all in the units of the data."""


class CausalModel(Response, Protocol):
    """A response with what a report says of it."""

    @property
    def title(self) -> str:
        """What tables and reports call the model."""

    @property
    def config(self) -> "MemberConfig":
        """Of its members: it says what each has held out."""

    @property
    def epochs_of(self) -> Mapping[str, int]:
        """What was trained -> epochs, where the trainer has no number of its own."""

    @property
    def without_instrument(self) -> "DeepIVModelConfig":
        """Settings of the network to stand beside it, which is fitted to treatments as they come."""
