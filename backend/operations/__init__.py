"""What keeps a market running: its clockwork, its health, its figures, its backups."""
