import gzip

import networkx as nx
import numpy as np
import pytest

from micromega.errors import DataError
from micromega.market import open_market
from micromega.market.config import EdgeList
from micromega.market.importers.edge_list import import_folder, read_edges


def imported(tmp_path, text, **settings):
    (tmp_path / "graph.txt").write_text(text, newline="")
    return import_folder(tmp_path / "graph.txt", tmp_path / "market", **settings)


def pairs(market):
    follows = market.table("follows")
    return set(zip(follows["source_id"].to_pylist(), follows["target_id"].to_pylist(), strict=True))


def test_comments_loops_and_repeats(tmp_path):
    text = "# a comment\n% another\r\n10 9\r\n9\t10\n\n10, 9\n3;3\n  7   9  \n"
    market = imported(tmp_path, text)
    assert market.table("accounts")["account_id"].to_pylist() == ["3", "7", "9", "10"]  # in the order of numbers
    assert set(market.table("accounts")["kind"].to_pylist()) == {"creator"}
    assert pairs(market) == {("10", "9"), ("9", "10"), ("7", "9")}
    assert "1 self-loops left out." in market.notes
    assert "1 lines repeat an edge and count once." in market.notes


def test_undirected_lines_become_both_directions(tmp_path):
    market = imported(tmp_path, "ann bob\nbob ann\nbob cem\n", directed=False)
    assert pairs(market) == {("ann", "bob"), ("bob", "ann"), ("bob", "cem"), ("cem", "bob")}
    assert "1 lines repeat an edge (in either direction) and count once." in market.notes
    assert market.table("accounts")["account_id"].to_pylist() == ["ann", "bob", "cem"]


@pytest.mark.parametrize(
    ("text", "nodes", "edges"),
    [
        ("4 3\n0 1\n1 2\n2 3\n", 4, 3),  # a header
        ("5 9\n0 1\n1 2\n", 3, 2),  # a header that announces more
        ("4 2\n0 1\n1 2\n2 3\n", 5, 4),  # 2 lines announced, 3 there: an edge
        ("4 3\n0 1\n1 2\n2 4\n", 5, 4),  # 4 is a node elsewhere: an edge
        ("4 7\n0 1\n1 9\n", 5, 3),  # 9 is above 4: an edge
        ("a 3\n0 1\n", 4, 2),
        ("4 3\n", 2, 1),
    ],
)
def test_a_first_line_with_the_numbers_of_nodes_and_lines(tmp_path, text, nodes, edges):
    market = imported(tmp_path, text)
    assert (market.table("accounts").num_rows, market.table("follows").num_rows) == (nodes, edges)
    assert any("announces" in note for note in market.notes) == (nodes < 5 and text[0].isdigit() and edges > 1)


@pytest.mark.parametrize("line", ["1", "1 2 3", "1 2 0.5", "1 2 x y"])
def test_lines_of_another_form(tmp_path, line):
    text = f"1 2\n2 3\n{line}\n3 4\n"
    with pytest.raises(DataError) as caught:
        imported(tmp_path, text)
    assert f'graph.txt: column "line" holds 1 unreadable line (line 3: {line}).' in str(caught.value)
    assert not (tmp_path / "market").exists()
    market = imported(tmp_path, text, on_bad_rows="drop")
    assert len(pairs(market)) == 3
    assert any(note.startswith("Dropped: graph.txt") for note in market.notes)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_file_without_edges(tmp_path, text):
    with pytest.raises(DataError, match=r"graph\.txt: the file holds no rows"):
        imported(tmp_path, text)


def test_nothing_but_loops_is_a_market_without_follows(tmp_path):
    assert sorted(imported(tmp_path, "1 1\n2 2\n").tables) == ["accounts"]


def test_no_text_and_no_file(tmp_path):
    (tmp_path / "graph.txt").write_bytes(b"1 2\n\xff\xfe 3\n")
    with pytest.raises(DataError, match="line 2 is no UTF-8 text"):
        open_market(EdgeList(path=str(tmp_path / "graph.txt")), tmp_path / "cache")
    with pytest.raises(DataError, match=r"other\.txt: there is no such file"):
        open_market(EdgeList(path=str(tmp_path / "other.txt")), tmp_path / "cache")


@pytest.mark.parametrize("directed", [True, False])
def test_random_graphs_against_networkx(tmp_path, directed):
    rng = np.random.default_rng(3)
    edges = rng.integers(0, 60, (400, 2))
    path = tmp_path / "graph.txt"
    np.savetxt(path, edges, fmt="%d")
    graph = (nx.DiGraph if directed else nx.Graph)(edges.tolist())
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    found = read_edges(path, "error", directed=directed)
    ids = found.nodes.to_pylist()
    got = {(int(ids[u]), int(ids[v])) for u, v in zip(found.source, found.target, strict=True)}
    assert got == set(graph.to_directed().edges)
    assert {int(node) for node in ids} == set(graph.nodes)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "nodes", "lines", "edges", "directed"),
    [  # README: nodes, lines or edges; edges without loops, undirected ones once
        ("NetHEPT.txt.gz", 15_233, 58_891, 31_398 - 22, False),
        ("NetPHY.txt.gz", 37_149, 231_507, 174_161, False),
        ("wiki-Vote.txt.gz", 7_115, 103_689, 103_689, True),
        ("ca-GrQc.txt.gz", 5_242, 28_980, 14_496 - 12, False),
        ("ca-HepTh.txt.gz", 9_877, 51_971, 25_998 - 25, False),
        ("email-Eu-core.txt.gz", 1_005, 25_571, 25_571 - 642, True),
        ("soc-Epinions1-undirected.txt.gz", 75_879, 405_740, 405_740, False),
    ],
)
def test_the_real_graphs(public_data, tmp_path, file, nodes, lines, edges, directed):
    path = public_data / "im-benchmark-graphs" / file
    market = import_folder(path, tmp_path / "market", directed=directed)
    assert market.table("accounts").num_rows == nodes
    assert market.table("follows").num_rows == edges * (1 if directed else 2)
    with gzip.open(path, "rt") as text:
        rows = [line.split() for line in text if not line.startswith("#")]
    header = int(file.startswith("Net"))
    assert len(rows) - header == lines
    assert pairs(market) >= {(u, v) for u, v in rows[header:] if u != v}
