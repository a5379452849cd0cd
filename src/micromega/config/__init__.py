"""From the command line to a validated request."""
