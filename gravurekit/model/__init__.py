"""The colorization network, its files, its training and its use. Needs only numpy, torch and safetensors.

network.py      the network of Iizuka, Simo-Serra and Ishikawa (SIGGRAPH 2016), top to bottom
checkpoint.py   model and training-state files: safetensors, no pickle
order.py        which samples come when: a pure function of the seed
feed.py         samples on the device, there when they are asked for
batches.py      samples, and how a batch of them is proved, augmented and scaled
augment.py      what a training changes in its pictures; chance.py the dice, counted and not drawn
palette.py      which colours a picture has, as the network is told; hints.py the colours of some places
bins.py         the ab plane in 313 bins, and what a colour weighs
difference.py   CIEDE2000
trainer.py      the training loop; interrupted at any moment, it goes on to the same bytes
colorizer.py    a trained network at work: lightness in, ab and classes out
"""
