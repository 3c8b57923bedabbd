"""The daemon's interface, defined once; the service and its clients both come from it."""
