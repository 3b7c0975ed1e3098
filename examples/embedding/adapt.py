"""A program that adapts a model to data, with the Python package: adapt.py MODEL DATA ADAPTED.onnx. The data are
what `attune train` takes: a folder of recordings or pictures, a table, an .npz."""

import sys

import attune


def main():
    if len(sys.argv) != 4:
        sys.exit("adapt.py MODEL DATA ADAPTED.onnx")
    model, data, adapted = sys.argv[1:]
    session = attune.compile(model, scheme="full", loss="cross_entropy").session()
    before = session.evaluate(data).accuracy
    trainer = attune.Trainer(session, data, epochs=20, learning_rate=0.05)
    for step in trainer:
        if step.epoch_ended and step.epoch % 5 == 0:
            print(f"epoch {step.epoch}: loss {trainer.epochs[-1].loss:.4f}")
    print(f"accuracy {before:.1%} before, {session.evaluate(data).accuracy:.1%} after".replace("%", " %"))
    session.export(adapted)


if __name__ == "__main__":
    main()
