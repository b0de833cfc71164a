"""Kernels compile for a card that is not there, where there is a compiler for it (libnvvm).

The simulator runs Python, which knows no types: only a compiler tells what a card would be given.
"""

import os
import subprocess
import sys

import pytest

COMPILED = r"""
import re
from types import SimpleNamespace
from numba import cuda, types
from numba.cuda import dispatcher
from numba.cuda.cudadrv.nvvm import NVVM
from grokode.theory import cuda_lottery, cuda_solvers, systems

try:
    NVVM()
except Exception as error:
    raise SystemExit(f"SKIP {type(error).__name__}: no libnvvm")
HOPPER = 9, 0
dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=HOPPER)

def array(kind, n):
    return types.Array(kind, n, "C")

def compiled(kernel, *signature):
    return cuda.compile_ptx(kernel.py_func, signature, cc=HOPPER)[0]

def arithmetic(text, more=""):
    operation = rf"\b(?:add|sub|mul|fma|div|sqrt{more})\.(?:\w+\.)*(f32|f64)"
    return set(re.findall(operation, text))

f64 = types.float64
single, double = types.float32, f64
for number, method, system in [
    (single, "tsit5", systems.TicketFlow(5)),
    (single, "rk4", systems.EvenFlow(5, degree=3)),
    (single, "dopri853", systems.ReLUFlow(5)),
    (double, "tsit5", systems.TicketFlow(5)),
    (double, "rk4", systems.EvenFlow(5, degree=3)),
]:
    kernel = cuda_solvers._kernel(method, (2, 2), type(system).rhs, number is single)
    some = types.UniTuple(number, len(system.parameters))
    text = compiled(
        kernel, array(number, 2), array(number, 1), array(f64, 2), array(number, 3),
        number, types.UniTuple(number, 2), number, types.int64, some,
    )
    # In single precision nothing is left in double, comparisons included; the roots of the control
    # are single anyway.
    used = arithmetic(text, "|setp|selp|min|max|neg|abs")
    assert used == {"f32"} if number is single else "f64" in used, (method, system, used)
waves, times = array(types.complex128, 1), array(f64, 1)
text = compiled(cuda_lottery._blowup_kernel(), waves, waves, times, f64)
assert arithmetic(text) == {"f64"}
integers = [types.int64] * 3
text = compiled(cuda_lottery._lottery_kernel(), array(types.int32, 1), times, *integers, f64)
assert arithmetic(text) == {"f64"}
"""


def test_kernels_compile_for_a_card():
    done = subprocess.run(
        [sys.executable, "-c", COMPILED],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stderr.startswith("SKIP"):
        pytest.skip("no libnvvm; CUDA_HOME may name a toolkit that has it")
    assert done.returncode == 0, done.stderr
