"""What we write: tests for gaps, by authors, judged by a trial."""
