"""Parse, call one service, render. No SQL here, and no decision about money."""
