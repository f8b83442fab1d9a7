"""Learning-driven test intelligence for pytest: a suite that learns from its own past."""

__version__ = "0.1.0"
