"""How Parley gets to run: the local stack, its parts and its checks."""
