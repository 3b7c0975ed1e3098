"""Runs a notebook: run_notebook.py NOTEBOOK [FOLDER]. With nbclient as Jupyter does, else its cells one after the
other. Pictures go to FOLDER, if there is one. Status 77: what it needs is not installed."""

import base64
import json
import os
import sys

NEEDED = ("numpy", "matplotlib", "torch", "onnx")


def missing():
    for name in NEEDED:
        try:
            __import__(name)
        except ImportError:
            yield name


def with_nbclient(path, folder):
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3",
                            resources={"metadata": {"path": os.path.dirname(path)}}).execute()
    pictures = [output["data"]["image/png"] for cell in notebook.cells if cell.cell_type == "code"
                for output in cell.outputs if "image/png" in output.get("data", {})]
    for number, picture in enumerate(pictures if folder else []):
        with open(os.path.join(folder, f"{number}.png"), "wb") as file:
            file.write(base64.b64decode(picture))
    return len(pictures)


def plainly(path, folder):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names, pictures = {"__name__": "notebook"}, 0
    with open(path) as file:
        cells = json.load(file)["cells"]
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        exec(compile("".join(cell["source"]), f"{path}: {cell['id']}", "exec"), names)
        for number in pyplot.get_fignums():
            if folder:
                pyplot.figure(number).savefig(os.path.join(folder, f"{pictures}.png"))
            pictures += 1
        pyplot.close("all")
    return pictures


def main():
    path, folder = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    absent = list(missing())
    if absent:
        print(f"skipped: there is no {', '.join(absent)} for {sys.executable}")
        return 77
    try:
        import nbclient  # noqa: F401
        import ipykernel  # noqa: F401
        run = with_nbclient
    except ImportError:
        run = plainly
    pictures = run(path, folder)
    print(f"{pictures} pictures")
    return 0 if pictures >= 4 else 1


if __name__ == "__main__":
    sys.exit(main())
