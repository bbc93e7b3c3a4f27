"""Trains vision transformers whose patches are dropped at a few depths (DynamicViT), and exports them for dynvitd.

model      the network: dense, masked (training) and pruned (inference) forward passes
deciding   which patches stay while training: the paper's Gumbel decisions, noisy top-k of a drawn count
reducing   which patches stay at inference: predictor, attention, random, a fixed mask, pooling
losses     the paper's four losses, and regression of the predictors on attention
weights    reading checkpoints; telling a model's shape from names and shapes
pictures   folders of pictures: reading, augmentation, mixing, batches that do not depend on the number of processes
runs       checkpoints, logs and what else outlives a kill -9
fit, export, ablate   the commands
"""
