"""How a panel agrees: votes, strategies, rounds and the explanation of a result. Pure: it is handed data."""
