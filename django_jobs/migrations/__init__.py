"""Tables of django_jobs; additive only."""
