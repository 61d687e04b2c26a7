"""Images decoded once and kept as records of one size, from which batches are cut on the device.

`layout` says what the files hold, `shard` and `pack` write them, `verify` looks whether they still
are what was written, `images` and `source` open them, `feed` gathers batches, `crops` says which
part of each image is looked at, `resample` cuts it out.
"""
