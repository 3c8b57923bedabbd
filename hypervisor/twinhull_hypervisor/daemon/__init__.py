"""The core: state, partitions, what the fleet server says, and the D-Bus service in front of it all."""
