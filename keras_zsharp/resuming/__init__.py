"""What a run is, and what it remembers: for backups of it."""
