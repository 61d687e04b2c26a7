"""Methods that good published recipes add to a plain ResNet, each off unless the recipe says so.

`section` holds what a recipe may say and needs no torch; every other file is one method. Their
order is fixed:

1. Once, on the model: squeeze-excite, BlurPool, then `model.initializers`, then zero-init of the
   residuals' last gamma, channels_last.
2. Per image, as uint8, by the loader: random resized crop and flip of the source, then
   TrivialAugment, RandAugment or AugMix, then random erasing.
3. Per batch, on the device: normalisation, resizing (the training resolution, times progressive
   resizing), ColOut, label smoothing, then mixup or cutmix.
4. Per step: stochastic depth in the forward pass; backward, with the mean of the gradients over
   workers; SAM's second pass; gradient clipping; optimizer; EMA.

Whatever is drawn at random depends on the recipe's seed and the step (or the image) alone. Nothing
is carried over, so a resumed training repeats it, and workers that share a batch agree on it.
"""
