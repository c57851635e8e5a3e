"""Fine-tunes a KerasHub text classifier with LoRA, sharpness-aware.

    pip install "keras-zsharp[hub]"
    python examples/finetune_text_classifier.py --preset bert_tiny_en_uncased

Without `--preset` nothing is downloaded: a small BERT of random weights shows in 75 seconds of a
core that the program runs, not what fine-tuning is worth. Prints how many weights are trained and
the accuracy, and writes the classifier as a plain Keras model, which takes strings. The task: is a
paragraph of documentation Keras', NumPy's or TensorFlow's? Any strings and labels take its place.
"""

import argparse
import inspect
import math
import os
import re


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", help="of a KerasHub classifier")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--output", default="text_classifier.keras")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error("--epochs must be >= 1")
    return options


if __name__ == "__main__":
    parse()  # `--help` and typos end here, before the imports that take seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import tensorflow as tf

import keras_zsharp

LIBRARIES = [(keras.ops, keras.layers), (np, np.linalg), (tf.math, tf.nn, tf.linalg)]
NAMES = re.compile(r"keras|numpy|\bnp\b|tensorflow|\btf\b", re.IGNORECASE)
LENGTH = 32  # tokens


def paragraphs():
    """Strings from docstrings, without the libraries' names, and what library each is of."""
    labels = {}
    for label, modules in enumerate(LIBRARIES):
        for module in modules:
            for _, member in inspect.getmembers(module, callable):
                for text in (inspect.getdoc(member) or "").split("\n\n"):
                    if len(text) >= 40:
                        labels.setdefault(NAMES.sub("", text), label)
    return np.array(list(labels)), np.array(list(labels.values()))


def classifier(preset, classes, texts):
    """A KerasHub task, which takes strings and cuts them into tokens."""
    hub = keras_hub.models
    if preset:
        return hub.TextClassifier.from_preset(preset, num_classes=classes)
    words = sorted({word for text in texts for word in re.findall("[a-z]+", text.lower())})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    size = {"num_layers": 2, "num_heads": 4, "hidden_dim": 64, "intermediate_dim": 128}
    backbone = hub.BertBackbone(len(vocabulary), max_sequence_length=LENGTH, **size)
    tokenizer = hub.BertTokenizer(vocabulary, lowercase=True)
    preprocessor = hub.BertTextClassifierPreprocessor(tokenizer, sequence_length=LENGTH)
    return hub.BertTextClassifier(backbone, classes, preprocessor)


def main(arguments=None):
    options = parse(arguments)
    print("Fine-tunes with LoRA: 75 seconds of a CPU core; a preset takes longer.", flush=True)
    keras.utils.set_random_seed(0)
    texts, labels = paragraphs()
    test, train = np.split(np.random.default_rng(0).permutation(len(texts))[:4000], [1000])
    task = classifier(options.preset, len(LIBRARIES), texts[train])
    # What trains: adapters and biases of the attention's queries and values, and the head.
    task.backbone.enable_lora(rank=4)
    trained = sum(math.prod(v.shape) for v in task.trainable_variables)
    print(f"{trained:,} of {task.count_params():,} weights are trained")

    # In place: the task keeps its preprocessing. `perturb_only="lora"` would leave out the head.
    keras_zsharp.sharpness_aware(task, keras_zsharp.SAM(rho=0.05))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    task.compile(keras.optimizers.AdamW(1e-2), loss, metrics=["accuracy"])
    batches = tf.data.Dataset.from_tensor_slices((texts[train], labels[train]))
    batches, held_out = batches.shuffle(len(train)).batch(32), (texts[test], labels[test])
    task.fit(batches, epochs=options.epochs, validation_data=held_out, verbose=2)
    # The adapters are added to the kernels: who loads it needs neither LoRA nor keras_zsharp.
    keras_zsharp.plain(task).save(options.output)
    print(f"Written to {options.output}")


if __name__ == "__main__":
    main()
