"""Images: where they come from, how they are augmented, in what order they are trained on."""
