"""Adapts encore_recommender to the Ranker and Trainer ports. Only the wiring imports it."""
