"""Public datasets at their source: where they lie, on what terms, and how they come here whole."""
