"""Produces engines: data, networks, training, export and evaluation."""
