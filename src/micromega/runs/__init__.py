"""What drives models and solvers; imported by the three entry points alone."""
