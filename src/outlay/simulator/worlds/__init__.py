"""The accounts of a world, one module per vendor."""
