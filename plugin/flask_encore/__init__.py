"""Post-purchase offers for Flask shops."""
