"""What the machine's figures are made of; never how fast it is."""

import types

import jax
import jax.numpy as jnp
import pytest

from benchmarks import machine
from benchmarks.command import command_line, markdown


def test_spread_is_median_and_quartiles() -> None:
    assert machine.quartiles([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0)


def test_gflop_are_two_per_product_and_sum() -> None:
    a = jnp.ones((100, 200)), jnp.ones((200, 300))
    lowered = jax.jit(jnp.matmul).lower(*a)
    compiled = lowered.compile()
    assert machine.gflop(lowered, compiled) == pytest.approx(2 * 100 * 200 * 300 / 1e9)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("%dot = f32[2,2] dot(%a, %b)", 2e-9),
        ('%x = f32[2,2] custom-call(%a, %b), custom_call_target="__cublas$gemm"', 1e-9),
        ('%x = f32[2,2] custom-call(%a), custom_call_target="TopK"', 2e-9),
    ],
)
@pytest.mark.parametrize("older", [True, False])
def test_products_in_a_library_are_counted_before_they_go_there(text: str, answer: float, older: bool) -> None:
    """In the lowered program, here 1 FLOP; the compiled one says 2. Older JAX answers with a list."""

    def program(flops: float) -> types.SimpleNamespace:
        analysis = {"flops": flops}
        return types.SimpleNamespace(as_text=lambda: text, cost_analysis=lambda: [analysis] if older else analysis)

    assert machine.gflop(program(1.0), program(2.0)) == answer


def test_the_memory_of_a_program_counts_a_donated_argument_once() -> None:
    a = jnp.ones((256, 1024))  # 1 MiB

    def twice(x: jax.Array) -> jax.Array:
        return 2 * x

    kept, donated = (
        machine.program_gib(jax.jit(twice, donate_argnums=argument).lower(a).compile()) * 2**10 for argument in ((), 0)
    )
    assert kept == pytest.approx(2.0, abs=0.01) and donated == pytest.approx(1.0, abs=0.01)


def test_a_table_in_markdown() -> None:
    table = markdown(("a", "b"), [("x", 0.123456), (12345, 54321.9)])
    assert table.splitlines() == ["| a | b |", "| --- | --- |", "| x | 0.1235 |", "| 12,345 | 54,322 |"]


def test_the_command_can_be_typed() -> None:
    assert command_line("python -m benchmarks.scaling", ["--data=a b"]) == "python -m benchmarks.scaling '--data=a b'"
