"""The colorization network, its files, its training and its use. Needs only numpy, torch and safetensors.

network.py      the network of Iizuka, Simo-Serra and Ishikawa (SIGGRAPH 2016), top to bottom; convolution.py its layers
bins.py         the ab plane in 313 bins, and what a colour weighs
palette.py      which colours a picture has, as the network is told; hints.py the colours of some places
checkpoint.py   model and training-state files: safetensors, no pickle; warm_start.py beginning from a trained network

order.py        which samples come when: a pure function of the seed
feed.py         samples on the device, there when they are asked for
batches.py      samples, and how a batch of them is proved, augmented and scaled
augment.py      what a training changes in its pictures; chance.py the dice, counted and not drawn

recipe.py       how to train
losses.py       what training minimises; validation.py how good a network is; difference.py CIEDE2000
learner.py      what a step does to the weights; capture.py as a CUDA graph; computing.py how torch computes meanwhile
trainer.py      the training loop; interrupted at any moment, it goes on to the same bytes
states.py       the states that it goes on from; log.py what it tells; readings.py losses, looked at when they are there
memory.py       which batch would fit; interrupts.py Ctrl-C; clock.py how long it has been learning
distributed.py  several processes; ranks.py which one this is; collectives.py, gradients.py and shared_norm.py what they
                do together

predictor.py    a trained network at work: lightness in, ab and classes out
"""
