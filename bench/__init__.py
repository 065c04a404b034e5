"""Corral measured beside its peers, in one run on one machine: `python -m bench`. See README.md."""
