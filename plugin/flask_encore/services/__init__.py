"""The journey, one verb a room; each is given the app's `Runtime` and imports no web."""
