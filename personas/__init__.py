"""Who the agents are: personas, their reasoners and their prompts."""
