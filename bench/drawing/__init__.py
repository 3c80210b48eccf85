"""Plots as SVG, readable on a light page and on a dark one, without a library."""
