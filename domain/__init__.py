"""The shared words of Parley: frozen models, the error tree, settings and ports. Imports no framework."""
