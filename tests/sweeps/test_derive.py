import ast
import operator
import random
from fractions import Fraction

import pytest

from sweeps.space.derive import CannotCompute, Expression
from sweeps.space.formula import MAX_DEPTH, MAX_LENGTH

RECIPE = {
    "seed": 3, "train_batch_size": 192, "rate": 0.1, "text": "5e-4", "max_duration": "90ep",
    "lr_schedulers.linear_warmup": "8ep", "ema": "100ba", "model.name": "resnet18", "tf32": True,
    "empty": None, "endless": float("inf"), "zero": 0, "tree": {"a": 1},
}  # fmt: skip


def compute(text, **values):
    return Expression.parse(text).compute({**RECIPE, **values}.get)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 - 3 - 4", -5),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("7 // 2 - 7 % 4", 0),
        ("-7 // 2", -4),
        ("-7 % 4", 1),
        ("- -3", 3),
        ("0.1 * 3", 0.3),
        ("0.1 * train_batch_size / 256", 0.075),
        ("rate * 3", 0.3),
        ("text * 2", 0.001),
        ("1e3 + .5 + 2.", 1002.5),
        ("min(4, seed, 5) + max(1, 2)", 5),
        ("round(2.5) + round(-2.5) + round(0.4)", 0),
        ("floor(-2.5)", -3),
        ("ceil(2.1)", 3),
        ("sqrt(16) + log2(8)", 7),
        ("2 ** 0.5", 2**0.5),
        ("8 / 2", 4),
    ],
)
def test_numbers_go_by_the_rules_of_arithmetic(text, value):
    result = compute(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("max_duration - lr_schedulers.linear_warmup", "82ep"),
        ("max_duration - 2ep", "88ep"),
        ("max_duration * 0.1", "9ep"),
        ("0.05 * max_duration", "4.5ep"),
        ("max_duration / lr_schedulers.linear_warmup", 11.25),
        ("max_duration // lr_schedulers.linear_warmup", 11),
        ("max_duration // 7", "12ep"),
        ("round(max_duration / 7)", "13ep"),
        ("min(max_duration, 100ep) % 4ep", "2ep"),
        ("ema + 20ba", "120ba"),
        ("8ep - 90ep + max_duration", "8ep"),
        ("-(8ep - max_duration)", "82ep"),
        ("30min * 2", "60min"),
    ],
)
def test_lengths_keep_their_unit(text, value):
    assert compute(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / zero", r"divides by 0 \(1 / 0\)"),
        ("5 // (seed - 3)", r"divides by 0 \(5 // 0\)"),
        ("5 % zero", r"divides by 0 \(5 % 0\)"),
        ("zero ** -1", r"divides by 0 \(0 \*\* -1\)"),
        ("max_duration - ema", r"- of 90ep and 100ba: ep and ba do not go together"),
        (
            "max_duration + 1",
            r"\+ of 90ep and 1: ep and a number without a unit do not",
        ),
        ("min(ema, 3)", "min of 100ba and 3"),
        ("5 / max_duration", "/ of 5 and 90ep"),
        ("max_duration * max_duration", "a length times a length is nothing"),
        ("max_duration ** 2", "powers are of numbers"),
        ("sqrt(max_duration)", "sqrt takes a number, got 90ep"),
        ("lr_schedulers.linear_warmup - max_duration", "gives -82ep, and a length is 0 or more"),
        ("max_duration / 7", "gives 12.8571ep.*decimal number.*use round"),
        ("ema / 8", "batches are whole, got 12.5ba; use round"),
        ("sqrt(-seed)", "sqrt of -3, which is below 0"),
        ("log2(zero)", "log2 of 0, which is not above 0"),
        ("(-2) ** 0.5", "a root of a number below 0"),
        ("2 ** 65", "the exponent 65 is outside -64 to 64"),
        ("1e300 ** 60", "too large"),
        ("1e300 * 1e300", "gives a number that is too large"),
        ("1e300 ** 1.5", "too large"),
        ("1e38ep", "cannot read .1000+ep?. as a duration"),
        ("model.name * 2", "model.name is 'resnet18', neither a number nor a length"),
        ("tf32 + 1", "tf32 is true, neither"),
        ("tree + 1", "tree is .*, neither"),
        ("empty + 1", "empty is null or not there"),
        ("nothing.there + 1", "nothing.there is null or not there"),
        ("endless + 1", "endless is inf"),
    ],
)
def test_what_has_no_value_says_why(text, message):
    with pytest.raises(CannotCompute, match=message):
        compute(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a formula"),
        (5, "must be a formula .*, got 5"),
        (None, "must be a formula .*, got null"),
        ("1 +", r"ends too early \(character 4\)"),
        ("(1", r"'\)' is missing \(character 3\)"),
        ("1 2", r"2 is one too many \(character 3\)"),
        ("seed seed", r"'seed' is one too many"),
        ("1 + * 2", r"'\*' where a number or a recipe path belongs \(character 5\)"),
        ("seed @ 2", r"'@' has no meaning \(character 6\)"),
        ("seed == 2", "'=' has no meaning"),
        ("seed[0]", r"'\[' has no meaning"),
        ("'a'", "has no meaning"),
        ("seed.", "'.' has no meaning"),
        ("8eb", r"unknown unit 'eb'; units are .*character 2"),
        ("rund(2)", "no function 'rund'; .*did you mean 'round'"),
        ("__import__('os')", "has no meaning"),
        ("eval(seed)", "no function 'eval'"),
        ("round()", r"'\)' where a number"),
        ("round(1, 2)", "round takes one value, got 2"),
        ("min(1)", "min takes two values or more, got 1"),
        ("1e999 * seed", "no number that a recipe can hold"),
        ("1 + " * 50 + "1", f"a formula of 201 characters; at most {MAX_LENGTH}"),
        ("(" * 30 + "1" + ")" * 30, f"more than {MAX_DEPTH} parentheses deep"),
        ("2**" * 30 + "1", "more than 20 powers of powers"),
    ],
)
def test_what_is_no_formula_says_where(text, message):
    with pytest.raises(ValueError, match=message):
        Expression.parse(text)


def test_a_formula_names_the_paths_it_looks_at_once_each():
    formula = Expression.parse(" min(a.b, c) + a.b * round(c_2.d) ")
    assert formula.names == ("a.b", "c", "c_2.d")
    assert formula.text == "min(a.b, c) + a.b * round(c_2.d)"


def test_random_formulas_give_what_python_gives_in_exact_fractions():
    rng = random.Random(0)
    operators = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
                 ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
                 ast.Mod: operator.mod}  # fmt: skip

    def trusted(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return operators[type(node.op)](trusted(node.left), trusted(node.right))
        if isinstance(node, ast.UnaryOp):
            return -trusted(node.operand)
        assert isinstance(node, ast.Constant)
        return Fraction(repr(node.value))

    num_compared = 0
    for _ in range(2_000):
        text = str(rng.randint(1, 9))
        for _ in range(rng.randint(1, 8)):
            sign = rng.choice(["+", "-", "*", "/", "//", "%"])
            number = rng.choice([str(rng.randint(1, 9)), f"{rng.random():.2f}", "-2"])
            text = rng.choice([f"{text} {sign} {number}", f"({text}) {sign} {number}"])
        try:
            expected = trusted(ast.parse(text, mode="eval").body)
        except ZeroDivisionError:
            with pytest.raises(CannotCompute, match="divides by 0"):
                compute(text)
            continue
        assert compute(text) == float(expected)
        num_compared += 1
    assert num_compared > 1_500
