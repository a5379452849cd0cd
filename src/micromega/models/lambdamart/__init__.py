"""LightGBM's LambdaMART on features of pairs: the strong competitor that a ranker must beat."""
