"""Any file of resolved votes: what each strategy would have made of it. Needs numpy and scipy: import it late."""
