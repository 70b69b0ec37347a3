# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What PyTorch's oneDNN computes on a CPU, against float64 and against plain PyTorch."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn import functional

from concerto_ros.ptv3 import PTv3Config
from concerto_ros.ptv3.checkpoint import untrained_encoder
from concerto_ros.ptv3.cpu import attention as cpu_attention
from concerto_ros.ptv3.cpu import onednn
from concerto_ros.ptv3.cpu.threads import for_each, keep_to_this_thread
from concerto_ros.ptv3.precision import automatic_precision
from concerto_ros.ptv3.recurring_sizes import recurring_size

CPU = torch.device("cpu")
KINDS = [torch.float32, torch.bfloat16]
#: Relative distance that rounding to each type may make.
ROUNDING = {torch.float32: 2e-6, torch.bfloat16: 1e-2}


@pytest.fixture
def capabilities(monkeypatch):
    """Lets a test say what the CPU can do; what was found out before is forgotten."""
    caches = (onednn.has_kernels, onednn.has_bfloat16_products, onednn.has_whole_vectors)

    def forget():
        for cached in caches:
            cached.cache_clear()

    def set_to(*, vectors: str, native_bfloat16: bool):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: vectors)
        for query in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.setattr(torch.cpu, query, lambda: native_bfloat16, raising=False)
        forget()

    forget()
    yield set_to
    monkeypatch.undo()
    forget()


@pytest.fixture(params=KINDS, ids=["float32", "bfloat16"])
def dtype(request):
    if not onednn.has_kernels(request.param):
        pytest.skip(f"this CPU has no fast products of {request.param}")
    return request.param


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def distance(value: torch.Tensor, wanted: torch.Tensor) -> float:
    value, wanted = value.double(), wanted.double()
    return float(torch.linalg.norm(value - wanted) / torch.linalg.norm(wanted))


def cloud(size: int, side: int = 24) -> tuple[torch.Tensor, ...]:
    flat = torch.randperm(side**3, generator=torch.Generator().manual_seed(0))[:size]
    grid_coord = torch.stack([flat // side**2, flat // side % side, flat % side], 1)
    return numbers(size, 6), grid_coord, grid_coord * 0.02, torch.tensor([size])


def encoder():
    config = PTv3Config(
        stride=(2,),
        enc_depths=(1, 1),
        enc_channels=(32, 48),
        enc_num_head=(2, 3),
        enc_patch_size=(512, 512),
        enc_mode=True,
    )
    made = untrained_encoder(config, name="two levels")
    made.backend = "torch"  # not the kernels that are compiled
    return made


@pytest.mark.parametrize("function", [None, "gelu", "sigmoid"])
@torch.no_grad()
def test_a_product_equals_the_one_in_float64(dtype, function):
    feat, weight, bias = (t.to(dtype) for t in (numbers(70, 24), numbers(40, 24), numbers(40)))
    assert onednn.usable(feat)
    wanted = functional.linear(feat.double(), weight.double(), bias.double())
    wanted = {None: lambda x: x, "gelu": functional.gelu, "sigmoid": torch.sigmoid}[function](
        wanted
    )
    assert distance(onednn.product(feat, weight, bias, function), wanted) < ROUNDING[dtype]


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 300])
def test_a_linear_layer_is_that_of_pytorch(dtype, gelu, rows):
    layer, feat = onednn.Linear(24, 40).to(dtype), numbers(rows, 24)
    plain = functional.linear(feat.to(dtype), layer.weight, layer.bias)
    plain = functional.gelu(plain) if gelu else plain
    with torch.no_grad():
        ours = layer(feat, gelu=gelu)
    assert ours.dtype == dtype and ours.shape == (rows, 40)
    torch.testing.assert_close(ours, plain.detach(), rtol=2 * ROUNDING[dtype], atol=1e-2)
    assert torch.equal(layer(feat, gelu=gelu), plain)  # where gradients may be asked for


@pytest.mark.parametrize("queries, keys", [(300, 300), (200, 512), (700, 100)])
@torch.no_grad()
def test_attention_equals_a_softmax_in_float64(dtype, queries, keys):
    query, key, value = (numbers(2, 3, n, 16, seed=n).to(dtype) for n in (queries, keys, keys))
    scores = query.double() @ key.double().transpose(2, 3) * 0.25
    wanted = scores.softmax(-1) @ value.double()
    ours = cpu_attention.attend(query, key, value, 0.25)
    assert ours.shape == wanted.shape
    assert distance(ours, wanted) < ROUNDING[dtype]
    assert torch.equal(ours, cpu_attention.attend(query, key, value, 0.25))


@torch.no_grad()
def test_attention_holds_for_scores_far_from_zero(dtype):
    key, value = numbers(1, 1, 300, 16).to(dtype), numbers(1, 1, 300, 16, seed=1).to(dtype)
    for strength in (1, 10, 100, 1000):
        query = (key * strength).contiguous()
        scores = query.double() @ key.double().transpose(2, 3) * 0.25
        ours = cpu_attention.attend(query, key, value, 0.25)
        if strength == 1000:
            assert ours is None  # left to a softmax
        elif ours is not None:
            assert distance(ours, scores.softmax(-1) @ value.double()) < 2 * ROUNDING[dtype]


@torch.no_grad()
def test_attention_gives_up_where_no_score_comes_near_its_bound(dtype):
    key = torch.zeros(1, 1, 300, 16)
    key[..., 0] = 40
    query = -key
    query, key, value = (t.to(dtype) for t in (query, key, numbers(1, 1, 300, 16)))
    assert cpu_attention.attend(query, key, value, 0.25) is None
    assert cpu_attention.attend(query * torch.nan, key, value, 0.25) is None


@torch.no_grad()
def test_attention_multiplies_as_many_rows_of_values_as_there_are(dtype, monkeypatch):
    rows = []
    of_rows = onednn.product_of_rows

    def counting(feat, *others, **more):
        rows.append(len(feat))
        return of_rows(feat, *others, **more)

    monkeypatch.setattr(onednn, "product_of_rows", counting)
    query, key, value = (numbers(1, 1, 256, 16, seed=n).to(dtype) for n in range(3))
    cpu_attention.attend(query, key, value, 0.25)
    assert rows == [256, 17]  # 16 channels and the sum of the weights, not padded to 32


@pytest.mark.parametrize(
    "about, pays",
    [
        ({"cpu_name": "AMD EPYC 9354 32-Core Processor", "avx_vnni": False}, False),
        ({"cpu_name": "AMD EPYC 9355 32-Core Processor", "avx_vnni": True}, True),
        ({"cpu_name": "Intel(R) Xeon(R) Platinum 8358", "avx_vnni": False}, True),
        ({}, True),
    ],
    ids=["Zen 4", "Zen 5", "Ice Lake", "PyTorch does not tell"],
)
@torch.no_grad()
def test_large_patches_of_float32_need_avx512_at_its_whole_width(
    dtype, capabilities, monkeypatch, about, pays
):
    assert onednn.has_kernels(dtype)  # PyTorch may look into the same table for it
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: about, raising=False)
    query = numbers(2, 3, 300, 16).to(dtype)
    assert cpu_attention.pays(query, query) == (pays or dtype == torch.bfloat16)


@torch.no_grad()
def test_small_patches_are_left_to_pytorch(dtype):
    assert not cpu_attention.pays(*[numbers(2, 3, 100, 16).to(dtype)] * 2)


@torch.no_grad()
def test_features_are_those_without_the_cpu_s_own_way(capabilities):
    parts, plain = cloud(1500), encoder()
    quick = plain(*parts).upcast(None)
    assert torch.equal(plain(*parts).upcast(None), quick)
    capabilities(vectors="AVX2", native_bfloat16=False)
    assert not onednn.usable(parts[0])
    assert distance(plain(*parts).upcast(None), quick) < 1e-5


@torch.no_grad()
def test_features_where_every_score_is_large_equal_those_of_a_softmax(capabilities):
    parts, strong = cloud(1500), encoder()
    for stage in strong.enc.values():
        stage["block0"].attn.qkv.weight.mul_(30)
    quick = strong(*parts).upcast(None)
    capabilities(vectors="AVX2", native_bfloat16=False)
    assert distance(strong(*parts).upcast(None), quick) < 1e-3


@torch.no_grad()
def test_the_automatic_precision_stays_near_float32():
    parts, exact = cloud(1500), encoder()
    rough = copy.deepcopy(exact).to(automatic_precision(CPU))
    features = rough(*parts).upcast(None)
    assert distance(features, exact(*parts).upcast(None)) < 2e-2
    assert torch.equal(rough(*parts).upcast(None), features)


def test_the_automatic_precision_is_what_the_cpu_has_instructions_for(capabilities):
    capabilities(vectors="AVX2", native_bfloat16=False)
    assert automatic_precision(CPU) == torch.float32
    capabilities(vectors="AVX512", native_bfloat16=False)
    assert automatic_precision(CPU) == torch.float32


def test_a_pytorch_without_the_queries_computes_in_float32(capabilities, monkeypatch):
    for query in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, query, raising=False)
    onednn.has_bfloat16_products.cache_clear()
    assert automatic_precision(CPU) == torch.float32


@torch.no_grad()
def test_a_pytorch_without_the_operator_takes_its_own_products(capabilities, monkeypatch):
    def missing(*_):
        raise AttributeError("no such operator")

    capabilities(vectors="AVX512", native_bfloat16=True)
    monkeypatch.setattr(onednn, "product", missing)
    with pytest.warns(UserWarning, match="no products by oneDNN"):
        assert not onednn.usable(numbers(3, 4))
    with pytest.warns(UserWarning, match="no products by oneDNN"):
        assert automatic_precision(CPU) == torch.float32
    layer = onednn.Linear(4, 2)
    assert torch.equal(
        layer(numbers(3, 4)), functional.linear(numbers(3, 4), layer.weight, layer.bias)
    )


@pytest.fixture(params=[1, 2, 3], ids="threads {}".format)
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_shared_work_comes_back_in_its_order(threads, count):
    items = [numbers(30, 30, seed=seed) for seed in range(count)]
    for ours, item in zip(for_each(lambda one: one @ one, items), items, strict=True):
        torch.testing.assert_close(ours, item @ item)
    assert torch.get_num_threads() == threads


def test_shared_work_that_fails_says_so_and_the_next_succeeds(threads):
    with pytest.raises(ZeroDivisionError):
        for_each(lambda one: 1 / one, [1, 0, 1])
    assert for_each(lambda one: 1 / one, [1, 2]) == [1, 0.5]


def in_a_thread(work):
    """The result of work in a thread of its own, which alone changes its priority."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_shared_work_has_the_priority_of_who_asks_for_it(threads):
    """Also where threads of another priority are there already."""

    def nicer_by(steps):
        own = os.nice(steps)
        return own, set(for_each(lambda _: os.nice(0), range(20)))

    for steps in (0, 2, 1, 0):
        own, shared = in_a_thread(lambda steps=steps: nicer_by(steps))
        assert own == min(os.nice(0) + steps, 19) and shared == {own}


def test_a_thread_that_computes_alone_leaves_the_others_as_they_are(threads):
    def alone():
        keep_to_this_thread()
        return torch.get_num_threads()

    assert in_a_thread(alone) == 1
    assert torch.get_num_threads() == in_a_thread(torch.get_num_threads) == threads


@torch.no_grad()
def test_features_do_not_depend_on_how_often_they_are_computed(threads):
    parts, ours = cloud(1500), encoder().to(automatic_precision(CPU))
    first = ours(*parts).upcast(None)
    for _ in range(3):
        assert torch.equal(ours(*parts).upcast(None), first)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_products_in_threads_write_to_what_was_made_in_any_mode(mode):
    with mode():
        made = torch.zeros(40, 3)
        for_each(lambda row: row.add_(1), list(made))
    assert torch.equal(made, torch.ones(40, 3)) and not made.requires_grad


def test_training_takes_the_products_of_pytorch(monkeypatch):
    """Those of oneDNN are slow where the number of rows is another in every step."""
    encoder = untrained_encoder(
        PTv3Config(
            in_channels=9,
            stride=(2,),
            enc_depths=(1, 1),
            enc_channels=(16, 32),
            enc_num_head=(1, 2),
            enc_patch_size=(64, 64),
            enc_mode=True,
        ),
        name="small",
    ).requires_grad_(True)
    grid = torch.stack(torch.meshgrid(*[torch.arange(6)] * 3, indexing="ij"), -1).view(-1, 3)

    def refuse(*_, **__):
        raise AssertionError("a product of oneDNN in training")

    monkeypatch.setattr(onednn, "product", refuse)
    pyramid = encoder(numbers(len(grid), 9), grid.int(), grid * 0.02, torch.tensor([len(grid)]))
    pyramid.upcast(None).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("count", [1, 15, 16, 17, 100, 127, 129, 1931, 200_000])
def test_recurring_sizes_are_few_and_little_larger(count):
    size = recurring_size(count, 16, 4)
    assert count <= size < max(1.25 * count, count + 16) and size % 16 == 0
    assert recurring_size(size, 16, 4) == size
    octave = {recurring_size(n, 16, 4) for n in range(1 << 10, 1 << 11)}
    assert len(octave) == 5  # both ends


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 37, 640, 1931])
def test_what_is_added_to_the_rows_changes_no_row(dtype, rows):
    feat, weight = numbers(rows, 24).to(dtype), numbers(40, 24).to(dtype)
    wanted = functional.linear(feat.double(), weight.double())
    assert distance(onednn.product(feat, weight), wanted) < ROUNDING[dtype]
    assert torch.equal(onednn.product(feat, weight), onednn.product(feat, weight))
    gelu = onednn.GELU()(feat.float())
    torch.testing.assert_close(gelu, functional.gelu(feat.float()))
    assert gelu.shape == feat.shape


@torch.no_grad()
@pytest.mark.parametrize("queries, keys", [(301, 301), (131, 517)])
def test_keys_that_are_added_get_no_weight(dtype, queries, keys):
    query, key = (numbers(1, 2, n, 16, seed=n).to(dtype) for n in (queries, keys))
    ones = torch.ones(1, 2, keys, 16, dtype=dtype)
    mixed = cpu_attention.attend(query, key, ones, 0.25)
    torch.testing.assert_close(mixed, torch.ones_like(mixed), rtol=1e-2, atol=0)


#: Prints how many primitives oneDNN made for clouds of 12 sizes, and then for 12 others.
MADE = """
import torch
from concerto_ros.heads import LinearHead
from concerto_ros.ptv3 import load_encoder

dtype = getattr(torch, "{dtype}")
encoder = load_encoder("demo", dtype=dtype)
encoder.backend = "torch"
head = LinearHead.load("demo", encoder)
side = 40
every = torch.cartesian_prod(torch.arange(side), torch.arange(side), torch.arange(3))
numbers = torch.Generator().manual_seed(0)
for count in (*range(2048, 2560, 43), None, *range(2061, 2560, 43)):
    if count is None:
        print("others", flush=True)
        continue
    voxels = every[torch.randperm(len(every), generator=numbers)[:count]]
    with torch.inference_mode():
        feat = torch.randn(count, 9, generator=numbers)
        pyramid = encoder(feat, voxels, voxels * 0.02, torch.tensor([count]))
        head.scores(pyramid, head.concat_levels(encoder))
"""


def test_a_cloud_of_another_size_takes_kernels_that_are_there(dtype):
    environment = {**os.environ, "ONEDNN_VERBOSE": "profile_create"}
    script = MADE.format(dtype=str(dtype).removeprefix("torch."))
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    first, others = (part.count("create:cache_miss") for part in done.stdout.split("others"))
    assert first > 50 and others <= first // 10


@pytest.mark.parametrize("chosen", [None, "77"])
def test_the_caches_of_kernels_are_limited_unless_the_user_chose(chosen):
    names = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= dict.fromkeys(names, chosen) if chosen else {}
    script = f"import os, concerto_ros; print(*(os.environ[name] for name in {names}))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [chosen or "256"] * 2
