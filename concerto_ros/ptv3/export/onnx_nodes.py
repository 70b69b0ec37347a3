# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writing an ONNX graph node by node, with the type of each value kept in mind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from concerto_ros.ptv3.export.arrays import ArraySpec

#: Version of the operators: the first with a GELU.
OPSET = 20

#: Version of the format that came with these operators.
_IR_VERSION = 9

_TYPES = {"float32": np.float32, "float16": np.float16, "int64": np.int64}


class GraphWriter:
    """Collects the nodes and weights of a graph.

    A value is the name of what a node or an input gives. Floating-point values are converted where
    an operator needs one type.
    """

    def __init__(self, inputs: Sequence[ArraySpec]):
        self._inputs = list(inputs)
        self._nodes: list[Any] = []
        self._weights: dict[str, np.ndarray] = {}
        self._types = {spec.name: spec.dtype for spec in inputs}
        self._part = ""
        self._count = 0

    def enter(self, part: str) -> None:
        """Begin a part of the model, after which the following values are named."""
        self._part, self._count = part, 0

    def weight(self, name: str, value: torch.Tensor) -> str:
        """Add a weight; one that is there already is kept."""
        array = np.ascontiguousarray(value.detach().cpu().numpy())
        return self._constant(name, array)

    def integers(self, *values: int) -> str:
        """Return a constant (n,) int64."""
        name = "integers_" + "_".join(str(value).replace("-", "minus") for value in values)
        return self._constant(name, np.array(values, np.int64))

    def integer(self, value: int) -> str:
        """Return a constant () int64."""
        return self._constant(f"integer_{value}", np.array(value, np.int64))

    def number(self, value: float, like: str) -> str:
        """Return a constant of one number, of the type of another value."""
        kind = self._types[like]
        with np.errstate(over="ignore"):  # a very low number is minus infinity in float16
            array = np.array(value).astype(_TYPES[kind])
        return self._constant(f"{kind}_{str(value).replace('-', 'minus')}", array)

    def _constant(self, name: str, value: np.ndarray) -> str:
        self._weights.setdefault(name, value)
        self._types[name] = str(value.dtype)
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one result, of the type of its first input.

        Args:
            operator: its name in ONNX.
            inputs: values.
            attributes: those of the operator.
        """
        return self.nodes(operator, 1, *inputs, **attributes)[0]

    def nodes(self, operator: str, results: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operator with several results; arguments as for :meth:`node`."""
        from onnx import helper

        self._count += 1
        stem = f"{self._part}.{self._count}_{operator}"
        outputs = [stem] if results == 1 else [f"{stem}_{index}" for index in range(results)]
        self._nodes.append(helper.make_node(operator, inputs, outputs, name=stem, **attributes))
        kind = "int64" if operator == "Shape" else self._types[inputs[0]]
        self._types.update(dict.fromkeys(outputs, kind))
        return outputs

    def cast(self, value: str, kind: str) -> str:
        """Convert a value to ``float32`` or ``float16`` where it has another type."""
        if self._types[value] == kind:
            return value
        from onnx import helper

        to = helper.np_dtype_to_tensor_dtype(np.dtype(_TYPES[kind]))
        result = self.node("Cast", value, to=to)
        self._types[result] = kind
        return result

    def chosen(self, condition: str, yes: str, no: str) -> str:
        """Choose between two values of one type by a condition."""
        result = self.node("Where", condition, yes, no)
        self._types[result] = self._types[yes]
        return result

    def type_of(self, value: str) -> str:
        """Return ``float32``, ``float16`` or ``int64``."""
        return self._types[value]

    def add(self, left: str, right: str) -> str:
        """Add two values, in float32 if one of them is."""
        if self._types[left] != self._types[right]:
            left, right = self.cast(left, "float32"), self.cast(right, "float32")
        return self.node("Add", left, right)

    def model(self, outputs: Sequence[tuple[ArraySpec, str]], metadata: dict[str, str]) -> Any:
        """Return the ``onnx.ModelProto``.

        Args:
            outputs: what the model returns, and the value of each.
            metadata: texts by name that the file carries.
        """
        from onnx import helper, numpy_helper

        for spec, value in outputs:
            value = self.cast(value, spec.dtype)
            self._nodes.append(helper.make_node("Identity", [value], [spec.name], name=spec.name))
        graph = helper.make_graph(
            self._nodes,
            "concerto_ros",
            [_described(spec) for spec in self._inputs],
            [_described(spec) for spec, _ in outputs],
            [numpy_helper.from_array(value, name) for name, value in self._weights.items()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="concerto_ros",
        )
        helper.set_model_props(model, metadata)
        return model


def _described(spec: ArraySpec) -> Any:
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(_TYPES[spec.dtype]))
    return helper.make_tensor_value_info(spec.name, kind, spec.shape, spec.meaning)
