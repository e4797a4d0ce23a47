"""What sees prompt injection and jailbreaks: rules of our own, and a model that weighs them with words and letters."""
