"""Passages ranked by the words that they share with a query: BM25, without any model."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

K1: Final = 1.2
B: Final = 0.75
"""As Robertson and Zaragoza 2009 recommend and Lucene has them."""

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")


def terms(text: str) -> list[str]:
    """The words of a text, case folded. Scripts that put no spaces between words give pairs of characters."""
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if len(word) > 1 and _IS_CJK.match(word):
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word)
    return found


class BM25:
    """Texts by the sum over the query's words of idf(t) tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)).

    idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5)) for a word in n of N texts (Robertson and Zaragoza 2009, section 3;
    with the 1 added that Lucene has, so that no word counts against a text). A text that shares no word is not
    recalled; ties go to the first.
    """

    name: Final = "bm25"

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        counted = [Counter(terms(text)) for text in self.texts]
        self._lengths = [count.total() for count in counted]
        self._mean = math.fsum(self._lengths) / max(len(counted), 1)
        self._found: dict[str, list[tuple[int, int]]] = {}
        for i, count in enumerate(counted):
            for term, tf in count.items():
                self._found.setdefault(term, []).append((i, tf))

    async def recall(self, query: str, k: int) -> list[str]:
        scores = self.scores(query)
        ranked = sorted(scores, key=lambda i: (-scores[i], i))
        return [self.texts[i] for i in ranked[:k]]

    def scores(self, query: str) -> dict[int, float]:
        """By the number of a text, its score; those that share no word with the query are left out."""
        scores: dict[int, float] = {}
        for term, times in Counter(terms(query)).items():
            found = self._found.get(term, ())
            idf = math.log(1 + (len(self.texts) - len(found) + 0.5) / (len(found) + 0.5))
            for i, tf in found:
                norm = K1 * (1 - B + B * self._lengths[i] / self._mean)
                scores[i] = scores.get(i, 0.0) + times * idf * tf * (K1 + 1) / (tf + norm)
        return scores
