"""The sweep file that the tests change: the one of the design, on digits."""

RECIPE = """\
model: {name: resnet18, num_classes: 10}
optimizer:
  decoupled_sgdw: {learning_rate: 2.0, momentum: 0.9, weight_decay: 5e-4}
lr_schedulers:
  linear_warmup: 1ep
  cosine_decay: {T_max: 5ep}
train_batch_size: 128
max_duration: 6ep
data: {digits: {}}
"""
HEAD = """\
version: 1
name: quick
extends: recipe.yaml
search: {trials: 12}
space:
"""
DESIGN = """\
  model.name: {choice: [resnet18, resnet34, resnet50]}
  model.groups: {choice: [1, 4], when: {model.name: [resnet50, resnet101, resnet152]}}
  model.width_per_group: {choice: [16, 64], when: {model.name: [resnet50, resnet101, resnet152]}}
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.2, 8]}
  lr_schedulers:
    choice:
      - {linear_warmup: 1ep, cosine_decay: {T_max: 5ep}}
      - {linear_warmup: 1ep, step_decay: {milestones: [4ep], gamma: 0.1}}
"""
