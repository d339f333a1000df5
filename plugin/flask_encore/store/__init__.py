"""Encore's own tables and every statement on them. The only room that imports SQLAlchemy."""
