"""What an entry is and what can be done with one.  This package imports no chapter."""
