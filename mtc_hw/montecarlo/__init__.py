"""Monte Carlo over virtual chips: one interface for every tier, resumable, on one core or a cluster."""
