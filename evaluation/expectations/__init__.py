"""What must hold of the rows before anything is computed from them."""
