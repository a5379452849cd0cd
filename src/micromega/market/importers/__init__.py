"""One file per public source: files in, market tables out."""
