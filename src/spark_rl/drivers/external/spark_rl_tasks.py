"""Registers the tasks of projects that are not installed: Isaac Lab 3.0 loads this through ``isaaclab.tasks``.

The folder of this file is put on PYTHONPATH with the projects', and SPARK_RL_TASK_MODULES names the modules to import.
"""

# ruff: noqa: INP001 - a top-level module where it runs

import importlib
import os

for name in filter(None, os.environ.get("SPARK_RL_TASK_MODULES", "").split(",")):
    importlib.import_module(name)
