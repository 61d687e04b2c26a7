"""Population based training: trials that take over each other's weights and rates."""
