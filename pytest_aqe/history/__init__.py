"""What we remember: run files, the DuckDB history, and the formats it trades in."""
