"""Runs the README's first example for an epoch, with what is installed: `example.py README.md`.

With a backend alone: on JAX and PyTorch the example takes arrays, since `tf.data` is TensorFlow's.
"""

import importlib.metadata
import importlib.util
import pathlib
import re
import sys

import keras

import keras_zsharp

program = re.search(r"```python\n(.*?)```", pathlib.Path(sys.argv[1]).read_text(), re.DOTALL)[1]
program, found = re.subn(r"\bepochs=\d+", "epochs=1, verbose=2", program)
assert found == 1, program
backend = keras.backend.backend()
if backend != "tensorflow":
    program = program.replace("data.train,", '*data.arrays["train"],')
    program = program.replace("=data.test", '=data.arrays["test"]')

assert "site-packages" in keras_zsharp.__file__, keras_zsharp.__file__
assert keras_zsharp.__version__ == importlib.metadata.version("keras-zsharp")
others = {"tensorflow", "jax", "torch"} - {backend}
assert not any(map(importlib.util.find_spec, others)), others
scope = {}
exec(program, scope)
assert scope["model"].history.history["sharpness"][0] > 0
assert pathlib.Path("net.keras").exists()
print("Python", sys.version.split()[0], "keras", keras.__version__, "on", backend)
