"""What `runbeat` does, usable without the command: enqueues the jobs of schedules at their ticks."""
