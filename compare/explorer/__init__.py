"""Everything a run shows, linked and moving: one page from disk, or served while it trains."""
