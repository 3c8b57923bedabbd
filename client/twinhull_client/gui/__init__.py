"""The desktop app: two computers on one laptop. The only package that imports Qt."""
