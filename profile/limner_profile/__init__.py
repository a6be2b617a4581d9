"""Floor 1: sources, tag kinds, catalog, compiler, snapshot store and profile look-up.

Imports nothing from the floors above (segments, explain, dashboards, service).
"""
