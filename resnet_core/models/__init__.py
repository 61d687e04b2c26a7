"""The ResNet family: its members, the factory that builds them, and how their weights begin."""
