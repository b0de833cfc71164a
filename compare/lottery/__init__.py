"""Who wins the lottery of frequencies, and how far theory follows the training."""
