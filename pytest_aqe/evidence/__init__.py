"""What happened: results, identities, failures, the environment and the change."""
