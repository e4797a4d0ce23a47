"""Other frameworks' guards in the form of ours."""
