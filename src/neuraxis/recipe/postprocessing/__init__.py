"""The recipe's part for what comes after the network."""
