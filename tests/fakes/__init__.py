"""Stand-ins that run: a trainer, the Isaac Lab around it, and what starts and watches them."""
