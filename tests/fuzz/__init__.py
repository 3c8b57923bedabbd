"""Coverage-guided fuzzing of everything that reads bytes from outside: ``tests/fuzz/run SECONDS``."""
