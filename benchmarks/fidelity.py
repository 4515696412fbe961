"""How far the embedded engine's distributions are from the model file's own, computed in float32.

    make peers                    # once: transformers and torch, in .peers/
    python benchmarks/fidelity.py

The reference is transformers in float32 on the file as it is shipped, every weight dequantised. Beside it each
file that ponder offers by default, as the engine reads it (flash attention, a stream for each sequence, f16
cells): "read" in chunks, as a prompt is, and "written" one token a step, as a sample is. Over 256 positions of
ponder's own tutorial: the mean of KL(reference || engine) in nats, and how often both have the same likeliest token.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIONS = 256
CHUNK = 64
HERE = Path(__file__).parent
TEXT = HERE.parent / "docs" / "tutorial.md"


def reference(file: str, ids: list[int], into: str) -> None:
    """In the peer's environment: the logits after each token, saved."""
    import torch  # type: ignore[import-not-found, unused-ignore]
    from transformers import AutoModelForCausalLM  # type: ignore[import-not-found, unused-ignore]

    path = Path(file)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    np.save(into, logits.float().numpy())


def engine(file: Path, ids: list[int], *, chunk: int) -> NDArray[np.float32]:
    """The logits after each token, read `chunk` at a time."""
    from ponder.engines._llama import Batch, Context, Model

    model = Model(file)
    context = Context(
        model,
        n_ctx=512,
        n_batch=512,
        n_outputs_max=chunk,
        threads=os.cpu_count() or 1,
        flash_attn=True,
    )
    batch, rows = Batch(chunk), []
    for begin in range(0, len(ids), chunk):
        part = ids[begin : begin + chunk]
        batch.clear()
        batch.add(part, np.arange(begin, begin + len(part)), 0, 1)
        if context.decode(batch):
            raise RuntimeError("llama.cpp could not decode")
        rows.append(context.all_logits().copy())
    model.close()
    return np.concatenate(rows)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted: NDArray[np.float64] = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def compare(true: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    """Mean KL(true || found) and the share of equal likeliest tokens, with the standard error of the KL."""
    n = min(true.shape[1], found.shape[1])  # one may pad its vocabulary
    p, q = log_softmax(true[:, :n]), log_softmax(found[:, :n])
    kl = (np.exp(p) * (p - q)).sum(axis=1)
    return {
        "KL": float(kl.mean()),
        "standard error": float(kl.std(ddof=1) / np.sqrt(len(kl))),
        "same likeliest token": float((p.argmax(1) == q.argmax(1)).mean()),
    }


def offered(model: str) -> tuple[Path, list[Path]]:
    """The file as it is shipped, and those that ponder may run in its place on this machine."""
    from ponder import config
    from ponder.engines.embedded.requantise import requantised

    shipped = config.model_path(model, config.settings())
    return shipped, [shipped, requantised(shipped)] if model.startswith("smollm2") else [shipped]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peers", type=Path, default=HERE.parent / ".peers", help="the peers' environments")
    parser.add_argument("--models", nargs="*", default=["smollm2-135m", "qwen2.5-coder-0.5b"])
    options = parser.parse_args()
    if options.child:
        reference(**json.load(sys.stdin))
        return
    from ponder.engines._llama import Model

    peer = options.peers / "transformers/bin/python"
    if not peer.exists():
        sys.exit("transformers is not here. Install it: make peers")
    for name in options.models:
        shipped, files = offered(name)
        model = Model(shipped, vocab_only=True)
        ids = model.tokenize(TEXT.read_text("utf-8"), add_special=True, parse_special=False)[:POSITIONS]
        model.close()
        with tempfile.TemporaryDirectory() as folder:
            into = f"{folder}/reference.npy"
            job: dict[str, Any] = {"file": str(shipped), "ids": ids, "into": into}
            command = [peer, __file__, "--child"]
            done = subprocess.run(
                command, input=json.dumps(job), text=True, check=False, stderr=subprocess.PIPE
            )
            if done.returncode:
                sys.exit(f"The reference failed: {done.stderr[-2000:]}")
            true = np.load(into)
        for file in files:
            for how, chunk in (("read", CHUNK), ("written", 1)):
                told = compare(true, engine(file, ids, chunk=chunk))
                print(
                    f"{file.name:45} {how:8} KL {told['KL']:.4f} +- {told['standard error']:.4f}, "
                    f"same likeliest token {told['same likeliest token']:.3f}, {len(ids)} positions",
                    flush=True,
                )


if __name__ == "__main__":
    main()
