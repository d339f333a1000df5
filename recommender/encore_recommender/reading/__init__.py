"""Order histories from files, tables and databases, with every row accounted for."""
