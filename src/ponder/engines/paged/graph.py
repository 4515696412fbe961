"""A GGUF file of the llama family as an OpenVINO graph whose attention reads a cache of blocks.

OpenVINO's own readers of GGUF files give graphs for other purposes: with a cache that cannot be shared, and
logits of every token. Here the graph is written down, from the file's tensors, for what the scheduler does:

    input_ids, position_ids                   [tokens]        the tokens of all sequences, one after the other
    subsequence_begins                        [sequences + 1] where each sequence's tokens begin
    past_lens                                 [sequences]     how many tokens each has in the cache
    block_indices, block_indices_begins       the blocks of each sequence, one list after the other
    max_context_len                           []              tokens of the longest sequence, those read included
    rows                                      [rows]          the tokens whose logits are wanted
    key_cache.N, value_cache.N                [blocks, heads, 32, width]  of layer N, in the plugin's layout
    logits                                    [rows, vocabulary]
    states                                    [tokens, width] last hidden states, after the last norm

Queries, keys and values are multiplied out at once, for one large product is faster than three small ones.
The patterns for norms, rotary positions and scaled weights are those that the processor plugin fuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import openvino as ov
from openvino import op
from openvino import opset13 as ops

from ponder.core.errors import Unsupported
from ponder.engines.paged.tensors import GROUP, Codes, Weights

if TYPE_CHECKING:
    from pathlib import Path

HALVES = frozenset({"qwen2"})
"""Architectures whose files keep a head's rotary pairs as two halves, as the graph has them."""
PAIRS = frozenset({"llama"})
"""Those whose files keep them side by side."""


class Shape(NamedTuple):
    """What the model is made of."""

    layers: int
    width: int
    heads: int
    groups: int  # heads of keys and values
    head: int  # numbers in a head
    trained: int  # tokens of the longest text it learned from
    vocabulary: int


def graph(path: Path) -> tuple[ov.Model, Shape]:
    """The model in a Q8_0 file.

    Raises:
        Unsupported: an architecture that is not known here, or a file with other weights.
        ValueError: no GGUF file, or one that is cut short.

    """
    weights = Weights(path)
    architecture = weights.header.architecture
    if architecture not in HALVES | PAIRS:
        known = ", ".join(sorted(HALVES | PAIRS))
        raise Unsupported(f"This engine knows {known}, not {architecture}. Use LlamaCpp for it.")
    number = weights.number
    for key in ("rope.scaling.type", "rope.scaling.factor", "attention.sliding_window", "expert_count"):
        if weights.header.metadata.get(f"{architecture}.{key}", 0) not in {0, 1, "none"}:
            raise Unsupported(f"This engine knows no model with {key}. Use LlamaCpp for this file.")
    width, heads = number("embedding_length"), number("attention.head_count")
    shape = Shape(
        layers=number("block_count"),
        width=width,
        heads=heads,
        groups=number("attention.head_count_kv", heads),
        head=number("attention.key_length", width // heads),
        trained=number("context_length"),
        vocabulary=0,
    )
    for key in ("rope.dimension_count", "attention.value_length"):
        if number(key, shape.head) != shape.head:
            raise Unsupported(
                f"This engine knows no model whose {key} is not a head. Use LlamaCpp for this file."
            )
    return _Writer(weights, shape).model()


class _Writer:
    """Writes the graph down, input by input and layer by layer."""

    def __init__(self, weights: Weights, shape: Shape) -> None:
        self._weights = weights
        self._shape = shape
        self._pairs = weights.header.architecture in PAIRS
        self._eps = weights.number("attention.layer_norm_rms_epsilon")
        self._parameters: list[op.Parameter] = []
        self._ids, self._positions, self._rows = (
            self._parameter(name, ov.Type.i64, [-1]) for name in ("input_ids", "position_ids", "rows")
        )
        names = "past_lens", "subsequence_begins", "block_indices", "block_indices_begins"
        self._lists = [self._parameter(name, ov.Type.i32, [-1]) for name in names]
        self._most = self._parameter("max_context_len", ov.Type.i32, [])
        self._cos, self._sin = self._angles()

    def model(self) -> tuple[ov.Model, Shape]:
        weights = self._weights
        table = weights.codes("token_embd.weight")
        x = ops.multiply(
            ops.convert(ops.gather(_constant(table.values), self._ids, _constant(np.int64(0))), "f32"),
            ops.convert(ops.gather(_constant(table.scales), self._ids, _constant(np.int64(0))), "f32"),
        )
        x = _reshape(x, -1, 1, self._shape.width)
        for layer in range(self._shape.layers):
            x = ops.add(x, self._attention(x, layer))
            x = ops.add(x, self._feed_forward(x, layer))
        states = self._norm(x, "output_norm.weight")
        head = weights.codes("output.weight") if "output.weight" in weights else table
        size = head.values.shape[0]
        logits = _product(ops.gather(states, self._rows, _constant(np.int64(0))), head)
        results = [
            _named(ops.result(_reshape(logits, -1, size)), "logits"),
            _named(ops.result(_reshape(states, -1, self._shape.width)), "states"),
        ]
        weights.check_used()
        return ov.Model(results, self._parameters, "paged"), self._shape._replace(vocabulary=size)

    def _parameter(self, name: str, kind: ov.Type, shape: Any) -> op.Parameter:
        made = _named(ops.parameter(shape, kind), name)
        self._parameters.append(made)
        return made

    def _attention(self, x: ov.Node, layer: int) -> ov.Node:
        weights, s = self._weights, self._shape
        name = f"blk.{layer}.attn_"
        heads = {"q": s.heads, "k": s.groups, "v": 0}
        codes = [weights.codes(f"{name}{c}.weight", pairs=n * self._pairs) for c, n in heads.items()]
        y = _product(self._norm(x, f"{name}norm.weight"), _joined(codes))
        if f"{name}q.bias" in weights and not self._pairs:
            bias = np.concatenate([weights.floats(f"{name}{c}.bias") for c in heads])
            y = ops.add(y, _constant(bias.reshape(1, 1, -1)))
        sizes = [len(code.values) for code in codes]
        split = ops.variadic_split(y, _constant(np.int64(2)), _constant(np.array(sizes, np.int64)))
        q, k, v = split.outputs()
        q = self._turned(q, s.heads)
        k = self._turned(k, s.groups)
        v = _reshape(v, -1, s.groups * s.head)
        return _product(
            _reshape(self._attended(q, k, v, layer), -1, 1, s.heads * s.head),
            weights.codes(f"{name}output.weight"),
        )

    def _attended(self, q: ov.Node, k: ov.Node, v: ov.Node, layer: int) -> ov.Output:
        """Each query's mean of the values in its sequence's blocks; what was read now is put there first."""
        unset = ov.PartialShape.dynamic(4)
        caches = [self._parameter(f"{c}_cache.{layer}", ov.Type.dynamic, unset) for c in ("key", "value")]
        zero, none = _constant(np.int32(0)), _constant(np.zeros(0, np.int32))
        floats, bytes_ = _constant(np.zeros(0, np.float32)), _constant(np.zeros(0, np.uint8))
        scale = _constant(np.float32(self._shape.head**-0.5))
        inputs = [q, k, v, *caches, *self._lists, scale, zero, floats, self._most]
        inputs += [none, none, none, floats]  # no scores told, no rotations
        inputs += [
            floats,
            zero,
            zero,
            _constant(np.zeros((0, 0, 0, 0), np.float32)),
        ]  # nothing skipped, no sinks
        inputs += [zero, none, none, none, none, bytes_, none]  # nothing evicted, no types, no biases
        node = op._PagedAttentionExtension([_output(one) for one in inputs])
        about = node.get_rt_info()
        about["num_k_heads"] = about["num_v_heads"] = self._shape.groups
        about["k_head_size"] = about["v_head_size"] = self._shape.head
        return node.output(0)

    def _feed_forward(self, x: ov.Node, layer: int) -> ov.Node:
        weights, name = self._weights, f"blk.{layer}.ffn_"
        x = self._norm(x, f"{name}norm.weight")
        gate = ops.swish(_product(x, weights.codes(f"{name}gate.weight")))
        return _product(
            ops.multiply(gate, _product(x, weights.codes(f"{name}up.weight"))),
            weights.codes(f"{name}down.weight"),
        )

    def _norm(self, x: ov.Node, name: str) -> ov.Node:
        mean = ops.reduce_mean(
            ops.power(x, _constant(np.float32(2))), _constant(np.array([-1], np.int32)), True
        )
        eps = _constant(np.full((1, 1, 1), self._eps, np.float32))
        scale = ops.divide(_constant(np.float32(1)), ops.sqrt(ops.add(mean, eps)))
        return ops.multiply(ops.multiply(scale, x), _constant(self._weights.floats(name).reshape(1, 1, -1)))

    def _angles(self) -> tuple[ov.Node, ov.Node]:
        """Cosine and sine of each position's angles [tokens, 1, 1, head]."""
        head = self._shape.head
        speeds = self._weights.number("rope.freq_base", 10000.0) ** -(np.arange(0, head, 2) / head)
        positions = ops.convert(_reshape(self._positions, -1, 1, 1, 1), "f32")
        half = ops.multiply(positions, _constant(speeds.astype(np.float32).reshape(1, 1, 1, -1)))
        angles = ops.concat([half, half], -1)
        return ops.cos(angles), ops.sin(angles)

    def _turned(self, x: ov.Node, heads: int) -> ov.Node:
        """Rotary positions, a head's pairs being its two halves."""
        head = self._shape.head
        x = _reshape(x, -1, heads, 1, head)
        cut = [_constant(np.array([at], np.int64)) for at in (0, head // 2, np.iinfo(np.int64).max, 1, 3)]
        first, second = (
            ops.slice(x, cut[0], cut[1], cut[3], cut[4]),
            ops.slice(x, cut[1], cut[2], cut[3], cut[4]),
        )
        swapped = ops.concat([ops.multiply(second, _constant(np.float32(-1))), first], -1)
        y = ops.add(ops.multiply(x, self._cos), ops.multiply(swapped, self._sin))
        return _reshape(y, -1, heads * head)


def _output(of: Any) -> ov.Output:
    return of if isinstance(of, ov.Output) else of.output(0)


def _named(node: Any, name: str) -> Any:
    node.output(0).set_names({name})
    return node


def _constant(value: Any) -> op.Constant:
    return op.Constant(np.array(value, order="C"))


def _reshape(x: Any, *shape: int) -> ov.Node:
    return ops.reshape(x, _constant(np.array(shape, np.int64)), False)


def _joined(codes: list[Codes]) -> Codes:
    """Matrices over the same input as one."""
    return Codes(np.concatenate([c.values for c in codes]), np.concatenate([c.scales for c in codes]))


def _product(x: Any, codes: Codes) -> ov.Node:
    """Rows times a matrix; the plugin keeps its codes as they are and multiplies in 8 bits."""
    rows, blocks, _ = codes.values.shape
    scaled = ops.multiply(ops.convert(_constant(codes.values), "f16"), _constant(codes.scales))
    return ops.matmul(x, ops.convert(_reshape(scaled, rows, blocks * GROUP), "f32"), False, True)
