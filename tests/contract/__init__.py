"""What every implementation behind a seam must do."""
