import networkx as nx
import numpy as np
import pyarrow.compute as pc
import pytest

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import SnapEgo
from micromega.market.importers.snap_ego import import_folder

EDGES = "1 2\n2 1\n2 3\n3 2\n"
FEATURES = "1 0 1\n2 1 1\n3 0 0\n4 1 0\n"
CIRCLES = "circle0\t1\t5\ncircle1\n"


def source(folder, **changed):
    texts = {"7.edges": EDGES, "7.feat": FEATURES, "7.circles": CIRCLES} | {
        name.replace("ego_", "7."): text for name, text in changed.items()
    }
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def test_friends_without_an_edge_are_there(tmp_path):
    market = import_folder(source(tmp_path / "source"), tmp_path / "market", ego="7")
    assert market.table("accounts")["account_id"].to_pylist() == ["1", "2", "3", "5", "4"]
    assert market.table("follows").num_rows == 4
    assert "5 nodes, 2 of them without an edge." in market.notes
    profile = market.features("profile")
    rows = profile.rows_of(["4", "2", "5"])
    assert rows.tolist() == [3, 1, -1]
    np.testing.assert_array_equal(profile.take(rows[:2]), [[1, 0], [1, 1]])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ego_edges": "1 2\nx\n"}, '7.edges: column "line" holds 1 unreadable line (line 2: x)'),
        ({"ego_feat": "1 0 1\n2 1 2\n"}, '7.feat: column "line" holds 1 unreadable line (line 2: 2 1 2)'),
        ({"ego_feat": "1 0 1\n2 1\n"}, '7.feat: column "values" holds 1 line of another length (line 2: 1)'),
        ({"ego_feat": "1 0 1\n1 1 1\n"}, '7.feat: column "id" holds 1 repeated id (line 2: 1)'),
    ],
)
def test_bad_lines_are_named_and_can_be_dropped(tmp_path, changed, words):
    with pytest.raises(DataError) as caught:
        import_folder(source(tmp_path / "source", **changed), tmp_path / "market", ego="7")
    assert words in str(caught.value)
    assert not (tmp_path / "market").exists()
    market = import_folder(tmp_path / "source", tmp_path / "market", ego="7", on_bad_rows="drop")
    assert any(note.startswith("Dropped: " + words.split(":")[0]) for note in market.notes)


def test_an_unknown_ego_is_told_which_there_are(tmp_path):
    with pytest.raises(DataError, match=r"5\.edges: there is no such file.*Egos there: 7; or market\.ego=combined"):
        open_market(SnapEgo(path=str(source(tmp_path / "source")), ego="5"), tmp_path / "cache")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("ego", "nodes", "with_edge", "edges"),
    [  # README: nodes with an edge, undirected edges; all nodes of 0 and combined
        ("0", 347, 333, 2_519),
        ("107", None, 1_034, 26_749),
        ("348", None, 224, 3_192),
        ("414", None, 150, 1_693),
        ("686", None, 168, 1_656),
        ("698", None, 61, 270),
        ("1684", None, 786, 14_024),
        ("1912", None, 747, 30_025),
        ("3437", None, 534, 4_813),
        ("3980", None, 52, 146),
        ("combined", 4_039, 4_039, 88_234),
    ],
)
def test_the_real_source(public_data, tmp_path, ego, nodes, with_edge, edges):
    folder = public_data / "snap-ego-facebook"
    market = open_market(SnapEgo(path=str(folder), ego=ego), tmp_path)
    follows = market.table("follows")
    assert follows.num_rows == 2 * edges
    assert len(pc.unique(follows["source_id"])) == with_edge
    if nodes:
        assert market.table("accounts").num_rows == nodes
    if ego == "0":
        isolated = [11, 12, 15, 18, 37, 43, 74, 114, 209, 210, 215, 287, 292, 335]
        everyone = set(market.table("accounts")["account_id"].to_pylist())
        assert everyone - set(follows["source_id"].to_pylist()) == {str(node) for node in isolated}
        graph = nx.read_edgelist(folder / "0.edges")
        assert set(zip(*(follows[side].to_pylist() for side in ("source_id", "target_id")), strict=True)) == set(
            graph.to_directed().edges
        )
        table = np.loadtxt(folder / "0.feat", dtype=int)
        profile = market.features("profile")
        np.testing.assert_array_equal(profile.take(profile.rows_of([str(node) for node in table[:, 0]])), table[:, 1:])
