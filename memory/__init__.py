"""What personas may see: embeddings, the vector index, recall, contexts and their snapshots."""
