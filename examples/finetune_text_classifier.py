"""Fine-tunes a KerasHub text classifier with LoRA, sharpness-aware.

    pip install "keras-zsharp[hub]"
    python examples/finetune_text_classifier.py --preset bert_tiny_en_uncased

Without `--preset` nothing is downloaded: a small BERT of random weights shows that the program runs,
in SECONDS on 2 CPU cores. Prints the number of weights trained and the accuracy, and writes the
fine-tuned classifier as a plain Keras model, which takes strings.

The task: of which library is a paragraph of documentation, Keras, NumPy or TensorFlow? Any strings and
labels take the place of those of `paragraphs`.
"""

import argparse
import inspect
import math
import re

import keras
import keras_hub
import numpy as np
import tensorflow as tf

import keras_zsharp

LIBRARIES = [(keras.ops, keras.layers), (np, np.linalg), (tf.math, tf.nn, tf.linalg)]
NAMES = re.compile(r"keras|numpy|\bnp\b|tensorflow|\btf\b", re.IGNORECASE)
TEST = 1000  # paragraphs


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
    backbone = hub.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=2,
        num_heads=4,
        hidden_dim=64,
        intermediate_dim=128,
        max_sequence_length=64,
    )
    tokenizer = hub.BertTokenizer(vocabulary, lowercase=True)
    preprocessor = hub.BertTextClassifierPreprocessor(tokenizer, sequence_length=64)
    return hub.BertTextClassifier(backbone, classes, preprocessor)


def main(arguments=None):
    options = parse(arguments)
    keras.utils.set_random_seed(0)
    texts, labels = paragraphs()
    order = np.random.default_rng(0).permutation(len(texts))
    test, train = order[:TEST], order[TEST:]
    task = classifier(options.preset, len(LIBRARIES), texts[train])
    # Freezes the backbone but for the adapters of its attention; the head trains as well.
    task.backbone.enable_lora(rank=4)
    trained = sum(math.prod(v.shape) for v in task.trainable_variables)
    print(f"{trained:,} of {task.count_params():,} weights are trained")

    # In place: the task keeps its preprocessing. `perturb_only="lora"` would leave out the head.
    keras_zsharp.sharpness_aware(task, keras_zsharp.SAM(rho=options.rho))
    task.compile(
        keras.optimizers.AdamW(options.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batches = tf.data.Dataset.from_tensor_slices((texts[train], labels[train]))
    task.fit(
        batches.shuffle(len(train)).batch(32),
        epochs=options.epochs,
        validation_data=(texts[test], labels[test]),
        verbose=2,
    )
    # The adapters are added to the kernels: who loads it needs neither LoRA nor keras_zsharp.
    keras_zsharp.plain(task).save(options.output)
    print(f"Written to {options.output}")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--preset", help="of a KerasHub text classifier")
    add("--rho", type=float, default=0.05)
    add("--learning-rate", type=float, default=1e-3)
    add("--epochs", type=int, default=5)
    add("--output", default="text_classifier.keras")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error("--epochs must be >= 1")
    return options


if __name__ == "__main__":
    main()
