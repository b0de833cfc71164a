"""What every question may use: reading a run, events, estimates, claims, cells of tables, style."""
