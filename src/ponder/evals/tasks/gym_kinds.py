"""How the answer to each data set of reasoning-gym is found in a text, and who judges it.

A data set that is not named here is scored by reasoning-gym, and its answer is what a text declares ("The answer is ...").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ponder.core.problem import Kind

EQUAL: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        re.findall(
            r"\w+",
            "aiw basic_arithmetic binary_alternation chain_sum circuit_logic count_bits count_primes decimal_chain_sum "
            "dice gcd gsm_symbolic largest_island lcm leg_counting letter_counting maze number_sequence products "
            "rectangle_count rotten_oranges self_reference simple_equations simple_geometry",
        ),
        "math",
    ),
    "course_schedule": "yesno",
    "game_of_life_halting": "yesno",
    "isomorphic_strings": "yesno",
    "ransom_note": "yesno",
    "syllogism": "yesno",
    "list_functions": "json",
    "codeio": "json",
}
"""One right answer: a number, yes or no, a list. Graded as votes compare answers, not by reasoning-gym.

(As of 0.1.25 its scorer of game_of_life_halting takes any text for right; that of codeio takes a list for wrong that has
other spaces than its own, and {} for right where [] is. Both take for wrong an input to codeio's program that gives the
wanted output but is not the one that the item was made from.)
"""

SCORED: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        re.findall(
            r"\w+",
            "coin_flip complex_arithmetic countdown decimal_arithmetic number_format polynomial_multiplication "
            "power_function puzzle24 simple_integration",
        ),
        "math",
    ),
    **dict.fromkeys(
        re.findall(r"\w+", "boxnet game_of_life graph_color group_anagrams jugs palindrome_partitioning"),
        "json",
    ),
    **dict.fromkeys(
        re.findall(
            r"\w+",
            "ab arc_1d arc_agi base_conversion binary_matrix bitwise_arithmetic caesar_cipher emoji_mystery "
            "fraction_simplification futoshiki intermediate_integration kakurasu knight_swap letter_jumble "
            "manipulate_matrix mini_sudoku modulo_grid n_queens number_filtering number_sorting path_star pool_matrix "
            "prime_factorization propositional_logic quantum_lock rearc rotate_matrix rubiks_cube rush_hour "
            "sentence_reordering spiral_matrix string_splitting string_synthesis sudoku survo time_intervals "
            "tower_of_hanoi tsumego word_sequence_reversal word_sorting",
        ),
        "code",
    ),
}
"""Scored by reasoning-gym. Of the kind "code" is what has several lines or would be taken for prose or a number: it is
asked for in a fenced block, and votes compare it to the letter.
"""

FENCE: Final = "Write the final answer, and nothing else, in a fenced block (```) at the end."


def kind_of(name: str) -> Kind:
    """How the answers to a data set are found and compared."""
    return EQUAL.get(name) or SCORED.get(name, "auto")
