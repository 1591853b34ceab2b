"""One file per version of the state database."""
