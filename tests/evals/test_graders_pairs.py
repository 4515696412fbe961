"""2,000 pairs that must not be equal, made by rules, and more than a hundred that must be. Votes ask the same keys."""

from __future__ import annotations

import json
import random
from fractions import Fraction

import anyio
from support import PATIENT

from ponder.core.problem import Message, Problem
from ponder.evals.graders import Graders
from ponder.evals.tasks.rows import GRADERS
from ponder.evals.values import Item
from ponder.runtime.equality import Equality

PAIRS = 2_000


def item(gold, kind):
    problem = Problem(f"{kind}/{gold}", (Message("user", "?"),), kind)
    return Item(problem, gold, grader=GRADERS.get(kind, "exact"))


async def graded(pairs):
    """For each (gold, answer, kind): the grade, and whether a vote would count the two as one."""
    equality = Equality(limit=PATIENT)
    graders = Graders(equality, limit=PATIENT)
    found = [(None, None)] * len(pairs)

    async def some(start):
        for at in range(start, len(pairs), 2):
            gold, answer, kind = pairs[at]
            grade = await graders.grade(item(gold, kind), answer)
            found[at] = (grade, await equality.same(gold, answer, kind))

    async with anyio.create_task_group() as group:
        group.start_soon(some, 0)
        group.start_soon(some, 1)
    await graders.aclose()
    await equality.aclose()
    return found


# Rules: each makes two answers that a person would not take for one. None asks ponder whether they differ.


def off_by_one(rng):
    n = rng.randint(-(10 ** rng.randint(1, 12)), 10 ** rng.randint(1, 12))
    return str(n), str(n + rng.choice((-1, 1)))


def sign(rng):
    n = rng.choice(
        (
            str(rng.randint(1, 9_999)),
            f"{rng.randint(0, 99)}.{rng.randint(1, 99)}",
            "\\frac{3}{7}",
            "\\sqrt{5}",
        )
    )
    return n, f"-{n}"


def percent(rng):
    n = rng.randint(1, 400)
    mark = rng.choice(("%", "\\%", " percent"))
    wrong = rng.choice((str(n), str(Fraction(n, 10)), str(Fraction(n, 1_000)), f"{n * 100}{mark}"))
    return f"{n}{mark}", wrong


def interval_ends(rng):
    low = rng.randint(-50, 50)
    high = low + rng.randint(1, 50)
    one, other = rng.sample(["[]", "[)", "(]", "()"], 2)
    if rng.random() < 0.3:
        return f"{one[0]}{low}, {high}{one[1]}", f"{one[0]}{high}, {low}{one[1]}"
    return f"{one[0]}{low}, {high}{one[1]}", f"{other[0]}{low}, {high}{other[1]}"


def interval_shifted(rng):
    low = rng.randint(-50, 50)
    high = low + rng.randint(2, 50)
    return f"[{low}, {high})", f"[{low + rng.choice((-1, 1))}, {high})"


def units(rng):
    n = rng.randint(1, 90)
    unit, factor, other = rng.choice(
        (
            ("km", 1_000, "m"),
            ("hours", 60, "minutes"),
            ("m", 100, "cm"),
            ("kg", 1_000, "g"),
            ("dollars", 100, "cents"),
        )
    )
    return f"{n} {unit}", rng.choice((f"{n * factor} {other}", str(n * factor), f"{n + 1} {unit}"))


def separators(rng):
    a, b = rng.randint(1, 999), rng.randint(0, 999)
    return f"{a},{b:03d}", rng.choice((f"{a}.{b:03d}", f"{a},{(b + 1) % 1_000:03d}", f"{a}"))


def transposed(rng):
    while True:
        digits = list(str(rng.randint(12, 10**9)))
        at = rng.randrange(len(digits) - 1)
        if digits[at] != digits[at + 1]:
            other = digits.copy()
            other[at], other[at + 1] = other[at + 1], other[at]
            return "".join(digits), "".join(other)


def close(rng):
    places = rng.randint(2, 15)
    digits = rng.randint(1, 10**places - 2)
    return tuple(f"0.{n:0{places}d}" for n in (digits, digits + 1))


def inverted(rng):
    a, b = rng.sample(range(1, 60), 2)
    form = rng.choice(("{}/{}", "\\frac{{{}}}{{{}}}"))
    return form.format(a, b), form.format(b, a)


def rounded(rng):
    a, b = rng.randint(1, 50), rng.choice((3, 7, 9, 11, 13))
    return (f"{a}/{b}", f"{a / b:.{rng.randint(2, 9)}f}") if a % b else (f"{a}/{b}", f"{a}.{b}")


def constants(rng):
    n = rng.randint(1, 40)
    form, value = rng.choice(
        (
            (f"{n}\\pi", n * 3.14159265),
            (f"\\sqrt{{{n * n + 1}}}", (n * n + 1) ** 0.5),
            (f"e^{{{n % 5 + 1}}}", 2.718281828 ** (n % 5 + 1)),
        )
    )
    return form, f"{value:.{rng.randint(2, 6)}f}"


def ordered(rng):
    a, b = rng.sample(range(-30, 30), 2)
    return rng.choice(
        ((f"({a}, {b})", f"({b}, {a})"), (f"({a}, {b})", f"{{{a}, {b}}}"), (f"({a},{b})", f"({a},{b},{b})"))
    )


def several(rng):
    a, b, c = rng.sample(range(1, 99), 3)
    return rng.choice(
        (
            (f"{a}, {b}", f"{a}"),
            (f"{a}, {b}", f"{a}, {c}"),
            (f"{a}", f"{a} or {b}"),
            (f"x={a}, y={b}", f"x={b}, y={a}"),
        )
    )


def powers(rng):
    base, power = rng.randint(2, 30), rng.randint(2, 12)
    return f"{base}^{{{power}}}", rng.choice(
        (
            f"{base}^{{{power + 1}}}",
            f"{base + 1}^{{{power}}}",
            str(base * power) if base**power != base * power else "5",
        )
    )


def roots(rng):
    a, b = rng.sample((2, 3, 5, 6, 7, 10, 11, 13, 14, 15), 2)
    return rng.choice(
        (
            (f"{a}\\sqrt{{{b}}}", f"{b}\\sqrt{{{a}}}"),
            (f"\\sqrt{{{a}}}", f"\\sqrt{{{b}}}"),
            (f"\\sqrt{{{a}}}", f"{a}"),
        )
    )


def polynomials(rng):
    a, b, c = (rng.randint(1, 20) for _ in range(3))
    right = f"{a}x^2+{b}x+{c}"
    return right, rng.choice(
        (
            f"{a}x^2+{b}x+{c + 1}",
            f"{a}x^2-{b}x+{c}",
            f"{a + 1}x^2+{b}x+{c}",
            f"{a}x^3+{b}x+{c}",
            f"{a}y^2+{b}y+{c}",
        )
    )


def relations(rng):
    n = rng.randint(1, 40)
    return rng.choice(
        (
            (f"x > {n}", f"x < {n}"),
            (f"x > {n}", f"x \\ge {n}"),
            (f"x+y={n}", f"x+y={n + 1}"),
            (f"x \\le {n}", f"x \\le -{n}"),
            (f"y=2x+{n}", f"y=2x-{n}"),
        )
    )


def imaginary(rng):
    a, b = rng.sample(range(1, 40), 2)
    return f"{a}+{b}i", rng.choice((f"{a}-{b}i", f"{b}+{a}i", f"{a + b}"))


def matrices(rng):
    a, b, c, d = rng.sample(range(10, 99), 4)
    form = "\\begin{{pmatrix}} {} & {} \\\\ {} & {} \\end{{pmatrix}}"
    return form.format(a, b, c, d), rng.choice(
        (form.format(a, c, b, d), form.format(b, a, c, d), form.format(a, b, c, -d))
    )


def bases(rng):
    digits = f"{rng.randint(2, 63):b}"
    return f"{digits}_2", rng.choice((f"{digits}_3", digits, f"{digits}0_2"))


def mixed(rng):
    whole, above, below = rng.randint(1, 9), rng.randint(1, 4), rng.randint(5, 9)
    return f"{whole} {above}/{below}", rng.choice(
        (f"{whole}{above}/{below}", f"{above}/{below}", f"{whole + 1} {above}/{below}")
    )


def magnitudes(rng):
    n = rng.randint(1, 99)
    return rng.choice(
        (
            (f"{n}e{n % 7 + 1}", f"{n}e{n % 7 + 2}"),
            (f"{n}", f"{n}0"),
            (f"0.0{n}", f"0.00{n}"),
            (f"{n} million", f"{n} thousand"),
            (f"{n} \\times 10^3", f"{n} \\times 10^{{-3}}"),
        )
    )


def ratios(rng):
    a, b = rng.sample(range(1, 60), 2)
    return f"{a}:{b}", rng.choice((f"{b}:{a}", f"{a}:{b + 1}"))


def denied(rng):
    n = rng.randint(2, 99)
    return str(n), rng.choice(
        (
            f"not {n}",
            f"anything but {n}",
            f"{n}?? no",
            f"{n} is wrong",
            f"-{n}",
            f"{n}i",
            f"{n}x",
            f"{n}={n + 1}",
        )
    )


def lookalikes(rng):
    n = rng.choice(("10", "100", "101", "110"))
    return n, rng.choice(
        (
            n.replace("0", "O"),
            n.replace("1", "l"),
            n.replace("1", "I"),
            n.replace("0", "о"),
            n.replace("0", "°"),
        )
    )


def trigonometry(rng):
    n = rng.randint(2, 9)
    one, other = rng.sample(("\\sin", "\\cos", "\\tan"), 2)
    return f"{one}({n}x)", rng.choice((f"{other}({n}x)", f"{one}({n + 1}x)", f"-{one}({n}x)"))


def logarithms(rng):
    n = rng.randint(2, 30)
    return f"\\ln {n}", rng.choice((f"\\ln {n + 1}", f"\\log_{{10}} {n}", f"\\log_2 {n}"))


def names(rng):
    known = [
        "Evelyn",
        "Angela",
        "Briana",
        "Carla",
        "Debra",
        "Paris",
        "London",
        "north",
        "south",
        "Tuesday",
        "Thursday",
        "no solution",
    ]
    return tuple(rng.sample(known, 2))


def letters(rng):
    one, other = rng.sample("ABCDEFGHIJ", 2)
    form = rng.choice(("{}", "({})", "{}.", "option {}", "\\text{{{}}}"))
    return one, rng.choice((form.format(other), f"{one} or {other}", f"{other}) the text of {one}"))


def verdicts(rng):
    one, other = rng.choice((("yes", "no"), ("no", "yes"), ("True", "False"), ("false", "true")))
    return one, rng.choice((other, f"{other}.", other.upper()))


def objects(rng):
    n = rng.randint(1, 99)
    right = {"a": n, "b": [1, n]}
    wrong = rng.choice(
        (
            {"a": str(n), "b": [1, n]},
            {"a": n, "b": [n + 1, 1]},
            {"a": n},
            {**right, "c": None},
            {"A": n, "b": [1, n]},
            [n],
        )
    )
    return json.dumps(right), json.dumps(wrong)


RULES = {
    **dict.fromkeys(
        (
            off_by_one, sign, percent, interval_ends, interval_shifted, units, separators, transposed, close, inverted, rounded,
            constants, ordered, several, powers, roots, polynomials, relations, imaginary, matrices, bases, mixed, magnitudes,
            ratios, denied, lookalikes, trigonometry, logarithms, names,
        ),
        "math",
    ),
    letters: "choice",
    verdicts: "yesno",
    objects: "json",
}  # fmt: skip


def adversarial(count, seed=1):
    """Distinct pairs, every rule in turn."""
    rng = random.Random(seed)
    found = {}
    rules = list(RULES.items())
    turn = 0
    while len(found) < count:
        rule, kind = rules[turn % len(rules)]
        turn += 1
        one, other = rule(rng)
        found[one, other, kind] = rule.__name__
        assert turn < 20 * count, "a rule has run dry"
    return found


def test_no_pair_that_must_differ_is_graded_right():
    pairs = adversarial(PAIRS)
    assert len(pairs) == PAIRS
    assert len(set(pairs.values())) == len(RULES)
    grades = anyio.run(graded, list(pairs))
    wrong = [
        (pair, rule)
        for (pair, rule), (grade, _) in zip(pairs.items(), grades, strict=True)
        if grade is not False
    ]
    assert wrong == []
    assert not any(same for _, same in grades)


SAME = {
    "math": (
        ("42", "42.0"), ("42", "+42"), ("42", "$42"), ("42", "\\$42"), ("42", "42 apples"), ("42", "x = 42"), ("42", "42."),
        ("42", "\\boxed{42}"), ("42", "$42$"), ("42", "\\(42\\)"), ("42", "**42**"), ("42", "４２"), ("42", "(42)"),
        ("42", "forty-two".replace("forty-two", "042")), ("42", "4.2e1"), ("42", "4.2 \\times 10^1"), ("42", "84/2"),
        ("42", "\\frac{84}{2}"), ("42", "6 \\cdot 7"), ("42", "6*7"), ("42", "40+2"), ("42", "\\text{42}"), ("42", "42°"),
        ("42", "\\mathbf{42}"), ("42", "42 \\text{ cm}"), ("42", "4200%"), ("1234", "1,234"), ("1234", "1{,}234"), ("1234", "1 234"),
        ("1234567", "1,234,567"), ("1234567.5", "1,234,567.50"), ("-7", "−7"), ("-7", "- 7"), ("1/2", "0.5"), ("1/2", "0.50"),
        ("1/2", ".5"), ("1/2", "50%"), ("1/2", "50\\%"), ("1/2", "2/4"), ("1/2", "\\frac12"), ("1/2", "\\dfrac{1}{2}"),
        ("1/2", "\\tfrac{1}{2}"), ("1/2", "½"), ("1/2", "2^{-1}"), ("1/2", "\\frac{\\sqrt{4}}{4}"), ("3/2", "1 1/2"), ("3/2", "1\\frac{1}{2}"),
        ("3/2", "1.5"), ("-3/2", "-\\frac{3}{2}"), ("-3/2", "\\frac{-3}{2}"), ("1/3", "0.\\overline{3}"), ("1/3", "\\frac{2}{6}"),
        ("1000000", "10^6"), ("1000000", "1 million"), ("1000000", "1e6"), ("0", "-0"), ("0", "0.00"), ("3", "three"), ("7", "Seven"),
        ("\\sqrt{2}", "2^{1/2}"), ("\\sqrt{2}", "\\sqrt2"), ("\\sqrt{2}", "sqrt(2)"), ("\\sqrt{2}", "√2"), ("2\\sqrt{3}", "\\sqrt{12}"),
        ("2\\sqrt{3}", "\\frac{6}{\\sqrt{3}}"), ("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt{2}}{2}"), ("\\pi/2", "\\frac{\\pi}{2}"),
        ("\\pi/2", "0.5\\pi"), ("2\\pi", "2π"), ("e^2", "e^{2}"), ("\\ln 8", "3\\ln 2"), ("\\log_2 8", "3"), ("5!", "120"),
        ("\\binom{6}{2}", "15"), ("x+1", "1+x"), ("x^2-1", "(x-1)(x+1)"), ("x^2+2x+1", "(x+1)^2"), ("2x", "x \\cdot 2"), ("2x", "2*x"),
        ("x/2", "\\frac{1}{2}x"), ("x/2", "0.5x"), ("y=2x+1", "2x+1"), ("y = 2x+1", "y=1+2x"), ("\\sin^2 x+\\cos^2 x", "1"),
        ("\\frac{a+b}{2}", "\\frac{a}{2}+\\frac{b}{2}"), ("3+4i", "4i+3"), ("i^2", "-1"), ("x>3", "3<x"), ("x \\ge 3", "x\\geq 3"),
        ("(1,2)", "(1, 2)"), ("(1,2)", "\\left(1,2\\right)"), ("(1,2)", "( 1.0 , 4/2 )"), ("[0,1)", "\\left[0, 1\\right)"),
        ("(-\\infty,1)", "(-∞, 1)"), ("{1,2}", "{2,1}"), ("{1,2}", "1, 2"), ("{1,2}", "2 and 1"), ("{1,2}", "\\{1,2\\}"),
        ("{1,2}", "x=1 or x=2"), ("\\pm 3", "3, -3"), ("1 \\pm \\sqrt{2}", "1+\\sqrt{2}, 1-\\sqrt{2}"), ("\\emptyset", "∅"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{bmatrix}1\\\\2\\end{bmatrix}"), ("3:4", "3 : 4"), ("1011_2", "1011_{2}"),
        ("\\infty", "∞"), ("Evelyn", "\\text{Evelyn}"), ("Evelyn", "evelyn."), ("no solution", "No solution"), ("90^\\circ", "90 degrees"),
        ("\\cos 60^\\circ", "1/2"), ("\\tan 45^\\circ", "1"), ("\\sqrt[3]{27}", "3"), ("|-5|", "5"), ("2^{10}", "1024"), ("0.125", "\\frac18"),
    ),
    "choice": (("B", "(B)"), ("B", "b"), ("B", "B."), ("B", "option B"), ("B", "\\text{B}"), ("B", "B) Paris"), ("B", "**B**"), ("B", "\\boxed{B}"[7:-1])),
    "yesno": (("yes", "Yes."), ("yes", "true"), ("no", "False"), ("no", "No, it is not.")),
    "json": (('{"a":1,"b":2}', '{"b": 2, "a": 1}'), ("[1,2]", "[1, 2]"), ('{"a":1}', '{"a":1.0}')),
    "auto": (("Paris", "paris."), ("The Beatles", "Beatles"), ("42", "42.0"), ("yes", "Yes"), ("(B)", "B")),
}  # fmt: skip


def test_pairs_that_must_be_equal_are():
    pairs = [(one, other, kind) for kind, pairs in SAME.items() for one, other in pairs]
    assert len(set(pairs)) == len(pairs) >= 100
    both = pairs + [(other, one, kind) for one, other, kind in pairs]
    grades = anyio.run(graded, both)
    assert [pair for pair, (grade, _) in zip(both, grades, strict=True) if grade is not True] == []
    assert all(same for _, same in grades)
