"""placeholder"""

import zipfile
from pathlib import Path


def is_whole(path: Path) -> bool:
    """Say whether a checkpoint file is complete."""
    return zipfile.is_zipfile(path)
