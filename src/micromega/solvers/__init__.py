"""From scores to plans: one folder per problem family, each with its problem, its algorithms and its own checker."""
