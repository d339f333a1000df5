"""Co-purchase recommendations from past baskets."""
