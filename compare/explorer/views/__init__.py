"""The explorer's views, one room to each."""
