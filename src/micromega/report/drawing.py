"""How every figure is drawn: matplotlib's object interface in, inline SVG that follows the page out.

The page's fonts draw the text and its CSS variables give the colours, in light, dark and print. The same numbers give
the same bytes; ids are unique to each figure; a title and a description are there for screen readers.
"""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from micromega.errors import MissingExtraError

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter
except ImportError as error:
    raise MissingExtraError('The report needs matplotlib. Run: pip install "micromega[report]"') from error

# Stand-ins that the page's CSS variables replace.
INK, MUTED, GRID, ACCENT, WARM, PAPER = (f"#00000{i}" for i in range(1, 7))
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "rule", ACCENT: "accent", WARM: "warm", PAPER: "paper"}

WIDE, HALF = (11.2, 4.0), (5.5, 3.8)  # inches; text comes out at about 14 CSS pixels on a full-width page

_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a currency may be "$"
    "font.size": 11.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 12.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 2,
}


def ticks(axes: Axes, which: str, words: Callable[[float], str]) -> None:
    """Write the numbers of axis "x" or "y" in words."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.set_minor_formatter(NullFormatter())


def svg(draw: Callable[[Figure], None], *, name: str, size: tuple[float, float], title: str, described: str) -> str:
    """Draw a figure and make it fit for a page.

    Args:
        draw: draws on the empty figure.
        name: prefix of all ids; unique in the page.
        size: width and height, inches.
        title: what it shows, for screen readers.
        described: more of it.

    Returns:
        SVG text.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        # The reader's fonts draw the text; matplotlib only measures it, and need not know every script.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        mpl.rcdefaults()  # the bytes depend on nobody's matplotlibrc
        mpl.rcParams.update(_STYLE | {"svg.hashsalt": name})
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        text = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(text, metadata=metadata)  # type: ignore[no-untyped-call]
    return _for_page(text.getvalue(), name=name, title=title, described=described)


def _for_page(svg: str, *, name: str, title: str, described: str) -> str:
    """Strip what a page does not need, make ids unique, exchange colours for CSS variables."""
    root = ET.fromstring(svg)  # noqa: S314 (nothing but what matplotlib has just drawn)
    for parent in root.iter():
        parent.tag = parent.tag.split("}")[-1]
        for child in list(parent):
            if child.tag.split("}")[-1] in {"metadata", "style"}:
                parent.remove(child)
        parent.attrib = {key.split("}")[-1]: _attribute(key, value, name) for key, value in parent.attrib.items()}
    box = root.attrib["viewBox"]
    root.attrib = {
        "viewBox": box,
        "class": "plot",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }
    for position, (tag, words) in enumerate((("title", title), ("desc", described))):
        element = ET.Element(tag, {"id": f"{name}-{tag}"})
        element.text = words
        root.insert(position, element)
    return ET.tostring(root, encoding="unicode")


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{name}-", 1)
    value = value.replace("url(#", f"url(#{name}-")
    if key == "style":
        value = re.sub(r"font(-family)?:[^;]*;?\s*", _size_only, value)
    return re.sub(r"#00000[1-6]", lambda match: f"var(--{_VARIABLES[match[0]]})", value)


def _size_only(match: "re.Match[str]") -> str:
    """Keep the size of a font and leave its family to the page."""
    size = re.search(r"[\d.]+px", match[0])
    return f"font-size: {size[0]}; " if size else ""
