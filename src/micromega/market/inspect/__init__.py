"""The data card: what a market holds, which models can run on it, and what looks wrong. Pure computation, no output.

`micromega.report.data_card` and `micromega.report.terminal_card` show it; `python -m micromega.market inspect` joins
the two.
"""

from micromega.market.inspect.card import DataCard, ModelCard, TableCard, inspect_market
from micromega.market.inspect.columns import ColumnCard, Histogram
from micromega.market.inspect.files import importers, inspect_files, is_market
from micromega.market.inspect.finding import Finding

__all__ = [
    "ColumnCard",
    "DataCard",
    "Finding",
    "Histogram",
    "ModelCard",
    "TableCard",
    "importers",
    "inspect_files",
    "inspect_market",
    "is_market",
]
