"""Types: those of the C++ module stand in _native.pyi, word for word; those of the package in its functions."""

import ast
import inspect
import os
import re
import unittest

import attune
from attune import _native

STUBS = os.path.join(os.path.dirname(attune.__file__), "_native.pyi")


def arguments(function):
    """Names and whether each has a default, of a function of pybind11: its documentation begins with them."""
    first = (function.__doc__ or "").splitlines()[0]
    inside = first[first.index("(") + 1:first.rindex(") ->")]
    depth, parts, part = 0, [], ""
    for c in inside:
        depth += (c in "[(<") - (c in "])>")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    parts = [p.strip() for p in parts + [part] if p.strip()]
    # pybind11 writes "name: type = default", and "arg0: type" of self.
    named = [(re.split(r"[:=]", p)[0].strip(), "=" in p) for p in parts]
    return [("self" if n in ("arg0",) else n, d) for n, d in named]


def stub_arguments(function):
    given = function.args.args
    defaults = [False] * (len(given) - len(function.args.defaults)) + [True] * len(function.args.defaults)
    return [(a.arg, d) for a, d in zip(given, defaults)]


def public(names):
    return {name for name in names if not name.startswith("_") or name in ("__init__", "__len__")}


class Stubs(unittest.TestCase):
    def setUp(self):
        with open(STUBS) as file:
            self.stubs = ast.parse(file.read())
        self.named = {node.name: node for node in self.stubs.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        self.values = {node.target.id for node in self.stubs.body if isinstance(node, ast.AnnAssign)}

    def test_every_name_is_there(self):
        self.assertEqual(set(self.named) | self.values, public(vars(_native)))

    def test_functions_take_what_they_say(self):
        for name, node in self.named.items():
            if isinstance(node, ast.FunctionDef):
                self.assertEqual(stub_arguments(node), arguments(getattr(_native, name)), name)

    def test_classes_have_what_they_say(self):
        for name, node in self.named.items():
            if not isinstance(node, ast.ClassDef) or name == "Error":
                continue
            made = getattr(_native, name)
            members = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
            own = public(vars(made))
            if name in ("Dataset", "FileData", "Port", "ParameterFacts", "Rollback", "Step"):
                own.discard("__init__")  # made by the library alone
            self.assertEqual(set(members), own, name)
            for member, stub in members.items():
                is_property = any(isinstance(d, ast.Name) and d.id == "property" for d in stub.decorator_list)
                self.assertEqual(is_property, isinstance(vars(made)[member], property), f"{name}.{member}")
                if not is_property and member != "__len__":
                    self.assertEqual(stub_arguments(stub), arguments(getattr(made, member)), f"{name}.{member}")

    def test_the_stub_would_not_pass_with_less(self):
        self.assertNotEqual(arguments(_native.open_file), [("session", False)])

    def test_the_package_states_its_types(self):
        def check(function, where):
            signature = inspect.signature(function)
            for parameter in signature.parameters.values():
                if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
                    self.assertIsNot(parameter.annotation, parameter.empty, f"{where}: {parameter.name}")
            self.assertIsNot(signature.return_annotation, signature.empty, where)

        for name in attune.__all__:
            made = getattr(attune, name)
            self.assertTrue(made.__doc__, name)
            if inspect.isfunction(made):
                check(made, name)
            elif inspect.isclass(made) and made.__module__.startswith("attune._") and not hasattr(_native, name):
                for member, function in vars(made).items():
                    if inspect.isfunction(function) and (not member.startswith("_") or member == "__init__") and \
                            not (hasattr(made, "__dataclass_fields__") and member == "__init__"):
                        check(function, f"{name}.{member}")
                        if member != "__init__":
                            self.assertTrue(function.__doc__, f"{name}.{member}")
        self.assertTrue(os.path.exists(os.path.join(os.path.dirname(attune.__file__), "py.typed")))


if __name__ == "__main__":
    unittest.main()
