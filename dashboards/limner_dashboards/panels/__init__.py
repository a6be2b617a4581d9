"""Panels: what pages are composed of, each from a visit or a row to components."""
