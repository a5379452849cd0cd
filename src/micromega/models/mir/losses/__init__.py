"""Losses on lists of creators: the paper's, and those of later work on learning to rank.

Each takes (L, K) scores and (L, K) labels, larger is better, and gives a scalar, the mean over lists.
"""
