"""What an offer, a charge and an amount are. Standard library only; no clock, no randomness, no input or output."""
