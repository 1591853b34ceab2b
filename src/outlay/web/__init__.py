"""The HTTP face: what programs send and ask, on this machine unless told otherwise."""
