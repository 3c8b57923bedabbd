"""The pure part of Twinhull: names, errors, the policy language, trust rules and the daemon's interface."""
