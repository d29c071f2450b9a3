"""How a trace is read, on made-up programs and events."""

import pytest

from benchmarks.profiling import Operation, own_milliseconds, read_operations

HLO = """\
HloModule jit_update, is_scheduled=true

%fused_dot (p: f32[2,2]) -> f32[2,2] {
  %p = f32[2,2]{1,0} parameter(0)
  ROOT %dot.1 = f32[2,2]{1,0} dot(%p, %p), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%fused_move (p.1: f32[2,2]) -> f32[2,2] {
  %p.1 = f32[2,2]{1,0} parameter(0)
  ROOT %transpose.1 = f32[2,2]{0,1} transpose(%p.1), dimensions={1,0}
}

%fused_sum (p.2: f32[2,2]) -> f32[2] {
  %p.2 = f32[2,2]{1,0} parameter(0)
  %square = f32[2,2]{1,0} multiply(%p.2, %p.2)
  ROOT %reduce.1 = f32[2]{0} reduce(%square, %zero), dimensions={1}, to_apply=%add
}

ENTRY %main.5 (a: f32[2,2]) -> f32[2,2] {
  %a = f32[2,2]{1,0} parameter(0), metadata={op_name="state.g_opt_state[0].mu"}
  %product = f32[2,2]{1,0} fusion(%a), kind=kOutput, calls=%fused_dot, \
metadata={op_name="jit(update)/transpose(jvp(Discriminator))/Discriminator._trunk/trunk_4/dot_general"}
  %moved = f32[2,2]{1,0} fusion(%a), kind=kLoop, calls=%fused_move, \
metadata={op_name="jit(update)/vmap(jvp(Generator))/up_2/transpose"}
  %summed = f32[2]{0} fusion(%a), kind=kInput, calls=%fused_sum, \
metadata={op_name="jit(update)/jvp(Discriminator)/Discriminator._norm/norm_3/reduce_sum"}
  %library = (f32[2,2]{1,0}, s8[4]{0}) custom-call(%a, %a), custom_call_target="__cublas$gemm", \
metadata={op_name="jit(update)/jvp(Generator)/grm_1/dot_general"}
  %loop = (s32[], /*index=1*/f32[2,2]{1,0}) while(%start), condition=%c, body=%b
  %copied = f32[2,2]{1,0} copy(%a)
  ROOT %adam = f32[2,2]{1,0} add(%copied, %moved), metadata={op_name="jit(update)/add"}
}
"""


@pytest.mark.parametrize(
    ("name", "kind", "layer"),
    [
        ("product", "matrix products", "trunk_4"),
        ("moved", "copies", "up_2"),
        ("summed", "reductions", "norms"),
        ("library", "matrix products", "grm_1"),
        ("loop", None, "other"),
        ("copied", "copies", "other"),
        ("adam", "elementwise", "optimizer"),
        ("a", "copies", "optimizer"),
    ],
)
def test_an_operation_has_a_kind_and_a_layer(name: str, kind: str | None, layer: str) -> None:
    assert read_operations(HLO)[name] == Operation(kind, layer)


def event(thread: int, start: float, duration: float, name: str) -> dict[str, object]:
    return {"ph": "X", "pid": 1, "tid": thread, "ts": start, "dur": duration, "args": {"hlo_op": name}}


def test_what_is_nested_counts_once() -> None:
    """Time are microseconds; threads do not nest in each other."""
    events = [
        {"ph": "X", "pid": 1, "tid": 1, "ts": 0, "dur": 9000, "name": "no operation"},
        event(1, 0, 8000, "loop"),
        event(1, 1000, 3000, "inner"),
        event(1, 2000, 1000, "innermost"),
        event(1, 5000, 2000, "inner"),
        event(1, 8000, 500, "after"),
        event(2, 1000, 4000, "beside"),
    ]
    own = [("loop", 3.0), ("inner", 2.0), ("innermost", 1.0), ("inner", 2.0), ("after", 0.5), ("beside", 4.0)]
    assert own_milliseconds(events) == own


def test_of_a_gpu_only_its_streams_count() -> None:
    names = [
        {"ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": {"name": name}}
        for tid, name in ((1, "python"), (2, "Stream #14(Compute)"))
    ]
    events = [*names, event(1, 0, 100, "launched"), event(2, 50, 2000, "computed")]
    assert own_milliseconds(events) == [("computed", 2.0)]
