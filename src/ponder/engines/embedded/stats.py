"""What the embedded engine has done since it was opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    """Counters, written by the engine's thread alone and read by anyone.

    Every token that goes through the model is counted once, in `prefilled` or in `decoded`.

    Args:
        steps: calls to the model; each holds what all sequences had to read.
        prefilled: tokens of prefixes (and of scored continuations) computed.
        decoded: sampled tokens computed.
        sampled: tokens sampled. The last one of a segment is not computed until somebody goes on from it.
        reused: prefix tokens taken from the cache.
        reread: prefix tokens computed although they had been computed before, because the cache had lost them.
        renewed: prefix tokens in the cache, computed again for their logits alone (usually a prefix's last).
        forks: sequences copied.
        moves: sequences moved next to the others in the step.
        sequences: sequences in a step, summed over steps.
        sampling_seconds: drawing tokens, assembling text, calling `watch`.
        decode_seconds: inside the model.

    """

    steps: int = 0
    prefilled: int = 0
    decoded: int = 0
    sampled: int = 0
    reused: int = 0
    reread: int = 0
    renewed: int = 0
    forks: int = 0
    moves: int = 0
    sequences: int = 0
    sampling_seconds: float = 0.0
    decode_seconds: float = 0.0

    @property
    def occupancy(self) -> float:
        """Mean sequences in a step."""
        return self.sequences / self.steps if self.steps else 0.0

    @property
    def throughput(self) -> float:
        """Tokens sampled a second, while anything ran."""
        seconds = self.decode_seconds + self.sampling_seconds
        return self.sampled / seconds if seconds else 0.0
