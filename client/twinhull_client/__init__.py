"""The unprivileged side of Twinhull: command line, desktop app and viewer."""
