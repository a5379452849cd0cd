"""Scene boundaries: where two consecutive frames differ sharply (PySceneDetect; Tian et al. 2022, Web Appendix E)."""

from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from micromega.errors import MissingExtraError

WIDTH = 256
"""Frames are compared at this width at most, as PySceneDetect does: detail and compression noise are no cuts."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SceneSettings:
    """How cuts are found.

    Attributes:
        method: histogram compares the histograms of brightness, as the paper; content compares hue, saturation and
            brightness pixel by pixel.
        threshold: how large a difference is a cut: histogram in [0, 1], content in [0, 255]; None: PySceneDetect's
            default.
        shortest_s: no scene is shorter, seconds.
    """

    method: Literal["histogram", "content"] = "histogram"
    threshold: Annotated[float, Field(gt=0)] | None = None
    shortest_s: Annotated[float, Field(ge=0)] = 0.5


class SceneDetection:
    """Finds the cuts of one video while its frames pass by."""

    def __init__(self, settings: SceneSettings, frame_rate: Fraction) -> None:
        try:
            from scenedetect import detectors  # noqa: PLC0415  (heavy, and optional)
            from scenedetect.common import FrameTimecode, Timecode  # noqa: PLC0415
        except ImportError:
            msg = "Scene detection needs scenedetect-headless. Install it: pip install 'micromega[features]'."
            raise MissingExtraError(msg) from None
        kinds = {"histogram": detectors.HistogramDetector, "content": detectors.ContentDetector}
        options: dict[str, Any] = {"min_scene_len": settings.shortest_s}
        if settings.threshold is not None:
            options["threshold"] = settings.threshold
        self._detector: Any = kinds[settings.method](**options)
        self._frame_timecode: Any = FrameTimecode
        self._timecode: Any = Timecode
        self._rate = frame_rate
        self._last: Any = None
        self._cuts: list[float] = []

    def see(self, pixels: NDArray[np.uint8], pts: int, time_base: Fraction) -> None:
        """Take the next frame.

        Args:
            pixels: (H, W, 3) blue, green, red; the same size in all frames.
            pts: its time in units of `time_base`, from 0.
            time_base: seconds.
        """
        self._last = self._frame_timecode(self._timecode(pts=pts, time_base=time_base), fps=self._rate)
        self._cuts += [cut.seconds for cut in self._detector.process_frame(self._last, pixels)]

    def cuts(self) -> NDArray[np.float64]:
        """End the video.

        Returns:
            (K,) times of the first frames of new scenes, seconds, ascending.
        """
        if self._last is not None:
            self._cuts += [cut.seconds for cut in self._detector.post_process(self._last)]
        return np.array(sorted(self._cuts), dtype=np.float64)
