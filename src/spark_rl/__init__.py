"""One command line to train and play robots in every NVIDIA Isaac Lab."""

__version__ = "0.1.0"
