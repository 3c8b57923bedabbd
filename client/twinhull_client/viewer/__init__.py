"""The sandboxed viewer: the one process that parses what a partition's screen sends.

It runs under the system's Python inside bubblewrap and imports the standard library, GObject introspection
and nothing else of Twinhull than this package (design.md sections 2 and 8).
"""
