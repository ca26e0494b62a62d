"""Programs that Isaac Lab's own Python runs; nothing here is imported by spark-rl."""
