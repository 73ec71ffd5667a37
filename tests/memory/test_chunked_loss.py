"""The chunked loss is held against PyTorch's plain cross entropy."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_pipeline.kernels.fused import planned_on
from qwen_pipeline.memory import chunked_loss
from qwen_pipeline.memory.chunked_loss import IGNORE_INDEX, linear_cross_entropy, score_tokens
from qwen_pipeline.memory.live_bytes import LiveBytes


def make_inputs(tokens=37, hidden=24, vocabulary=101, labelled=0.6, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden_TD = torch.randn(tokens, hidden, generator=generator).to(dtype)
    head_VD = torch.randn(vocabulary, hidden, generator=generator).to(dtype)
    labels_T = torch.randint(0, vocabulary, (tokens,), generator=generator)
    labels_T[torch.rand(tokens, generator=generator) >= labelled] = IGNORE_INDEX
    return hidden_TD.requires_grad_(), head_VD, labels_T


def plain_loss(hidden_TD, head_VD, labels_T):
    logits = (hidden_TD @ head_VD.t()).float()
    return torch.nn.functional.cross_entropy(logits, labels_T, ignore_index=IGNORE_INDEX, reduction="sum")


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 70), st.floats(0.0, 1.0), st.integers(0, 1000))
def test_equals_plain_cross_entropy_for_any_chunk(tokens, chunk, labelled, seed):
    hidden_TD, head_VD, labels_T = make_inputs(tokens=tokens, labelled=labelled, seed=seed)
    wanted = plain_loss(hidden_TD, head_VD, labels_T)
    (wanted_gradient,) = torch.autograd.grad(wanted, hidden_TD)
    found = linear_cross_entropy(hidden_TD, head_VD, labels_T, chunk_tokens=chunk)
    (gradient,) = torch.autograd.grad(found, hidden_TD)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6, abs=1e-12)
    assert (gradient - wanted_gradient).norm() <= 1e-6 * wanted_gradient.norm() + 1e-12


def test_gradient_is_that_of_finite_differences():
    hidden_TD, head_VD, labels_T = make_inputs(tokens=5, hidden=4, vocabulary=7)
    loss = linear_cross_entropy(hidden_TD, head_VD, labels_T, chunk_tokens=2)
    loss.backward()
    exact = hidden_TD.detach().double()
    for index in [(0, 0), (2, 3), (4, 1)]:
        sides = []
        for shift in (1e-5, -1e-5):
            moved = exact.clone()
            moved[index] += shift
            sides.append(plain_loss_float64(moved, head_VD.double(), labels_T))
        assert hidden_TD.grad[index].item() == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=2e-5)


def plain_loss_float64(hidden_TD, head_VD, labels_T):
    kept = labels_T != IGNORE_INDEX
    log_probabilities = (hidden_TD @ head_VD.t())[kept].log_softmax(-1)
    return -log_probabilities.gather(1, labels_T[kept][:, None]).sum().item()


def test_incoming_gradient_scales_the_result():
    hidden_TD, head_VD, labels_T = make_inputs()
    (plain,) = torch.autograd.grad(linear_cross_entropy(hidden_TD, head_VD, labels_T), hidden_TD)
    (scaled,) = torch.autograd.grad(linear_cross_entropy(hidden_TD, head_VD, labels_T) * 0.125, hidden_TD)
    assert torch.equal(scaled, plain * 0.125)


def test_float16_survives_a_loss_scale_of_65536():
    hidden_TD, head_VD, labels_T = make_inputs(dtype=torch.float16)
    normaliser = 65536.0 / (labels_T != IGNORE_INDEX).sum().item()
    (found,) = torch.autograd.grad(linear_cross_entropy(hidden_TD, head_VD, labels_T) * normaliser, hidden_TD)
    precise = hidden_TD.detach().float().requires_grad_()
    (wanted,) = torch.autograd.grad(plain_loss(precise, head_VD.float(), labels_T) * normaliser, precise)
    assert torch.isfinite(found).all()
    assert relative_error(found.float(), wanted) < 2e-3


def test_bfloat16_is_as_near_to_float32_as_the_plain_path_is():
    hidden_TD, head_VD, labels_T = make_inputs(tokens=200, hidden=64, vocabulary=500, dtype=torch.bfloat16)
    precise = hidden_TD.detach().float().requires_grad_()
    (wanted,) = torch.autograd.grad(plain_loss(precise, head_VD.float(), labels_T), precise)
    (plain,) = torch.autograd.grad(plain_loss(hidden_TD, head_VD, labels_T), hidden_TD)
    (found,) = torch.autograd.grad(linear_cross_entropy(hidden_TD, head_VD, labels_T), hidden_TD)
    assert relative_error(found.float(), wanted) <= 1.1 * relative_error(plain.float(), wanted)


def test_bfloat16_keeps_the_gradient_of_tokens_that_are_nearly_certain():
    hidden_TD, head_VD, _ = make_inputs(tokens=200, hidden=64, vocabulary=500, dtype=torch.bfloat16)
    with torch.no_grad():
        hidden_TD *= 0.7
        labels_T = (hidden_TD.float() @ head_VD.float().t()).argmax(-1)
    precise = hidden_TD.detach().float().requires_grad_()
    loss = plain_loss(precise, head_VD.float(), labels_T)
    assert 0.01 < loss.item() / len(labels_T) < 0.7
    (wanted,) = torch.autograd.grad(loss, precise)
    (plain,) = torch.autograd.grad(plain_loss(hidden_TD, head_VD, labels_T), hidden_TD)
    (found,) = torch.autograd.grad(linear_cross_entropy(hidden_TD, head_VD, labels_T), hidden_TD)
    assert relative_error(found.float(), wanted) <= 1.1 * relative_error(plain.float(), wanted)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setitem(chunked_loss.BLOCK_TOKENS, "cpu", 30)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_of_the_vocabulary_change_nothing(small_blocks, dtype):
    hidden_TD, head_VD, labels_T = make_inputs(tokens=300, labelled=0.9, dtype=dtype)
    labels_T[:4] = torch.tensor([0, 29, 30, 100])
    found = linear_cross_entropy(hidden_TD, head_VD, labels_T, chunk_tokens=64)
    (gradient,) = torch.autograd.grad(found, hidden_TD)
    wanted = plain_loss(hidden_TD, head_VD, labels_T)
    (wanted_gradient,) = torch.autograd.grad(wanted, hidden_TD)
    tight = dtype == torch.float32
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert relative_error(gradient.float(), wanted_gradient.float()) < (1e-6 if tight else 5e-3)
    kept = labels_T != IGNORE_INDEX
    scores = score_tokens(hidden_TD, head_VD, labels_T, chunk_tokens=64)
    best = (hidden_TD @ head_VD.t())[kept].argmax(-1)
    assert torch.equal(scores.correct, best == labels_T[kept])
    assert scores.correct.any()


def test_the_first_of_equal_logits_is_the_most_likely_token(small_blocks):
    hidden_TD, head_VD = torch.ones(2, 4), torch.zeros(90, 4)
    head_VD[[20, 50, 80]] = 1.0
    assert score_tokens(hidden_TD, head_VD, torch.tensor([20, 50])).correct.tolist() == [True, False]


def test_a_hidden_state_of_higher_precision_than_the_head_keeps_its_dtype():
    hidden_TD, head_VD, labels_T = make_inputs()
    loss = linear_cross_entropy(hidden_TD, head_VD.bfloat16(), labels_T)
    loss.backward()
    assert hidden_TD.grad.dtype == torch.float32 and loss.dtype == torch.float32


def test_rows_without_any_label_give_zero_and_a_zero_gradient():
    hidden_TD, head_VD, labels_T = make_inputs(labelled=0.0)
    loss = linear_cross_entropy(hidden_TD, head_VD, labels_T)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.count_nonzero(hidden_TD.grad) == 0


def test_known_rows_spare_the_search_and_change_nothing():
    hidden_TD, head_VD, labels_T = make_inputs()
    rows_N = (labels_T != IGNORE_INDEX).nonzero().squeeze(1)
    searched = linear_cross_entropy(hidden_TD, head_VD, labels_T)
    assert torch.equal(linear_cross_entropy(hidden_TD, head_VD, labels_T, labelled_rows_N=rows_N), searched)


def test_no_tensor_of_tokens_times_vocabulary_ever_lives():
    tokens, vocabulary, chunk = 1024, 20_000, 64
    hidden_TD, head_VD, labels_T = make_inputs(tokens=tokens, hidden=16, vocabulary=vocabulary, labelled=0.9)
    with LiveBytes() as memory:
        linear_cross_entropy(hidden_TD, head_VD, labels_T, chunk_tokens=chunk).backward()
    assert chunk * vocabulary * 4 <= memory.peak < 3 * chunk * vocabulary * 4
    assert memory.peak < tokens * vocabulary * 4 / 4


def test_unlabelled_rows_cost_nothing_of_vocabulary_width():
    hidden_TD, head_VD, labels_T = make_inputs(tokens=1000, hidden=16, vocabulary=20_000, labelled=0.01)
    labelled = int((labels_T != IGNORE_INDEX).sum())
    with LiveBytes() as memory:
        linear_cross_entropy(hidden_TD, head_VD, labels_T).backward()
    assert memory.peak < 2.5 * labelled * 20_000 * 4


def test_scores_are_those_of_each_token():
    hidden_TD, head_VD, labels_T = make_inputs()
    scores = score_tokens(hidden_TD, head_VD, labels_T, chunk_tokens=5)
    kept = labels_T != IGNORE_INDEX
    logits = (hidden_TD @ head_VD.t())[kept]
    wanted = torch.nn.functional.cross_entropy(logits, labels_T[kept], reduction="none")
    torch.testing.assert_close(scores.loss, wanted.detach(), rtol=1e-5, atol=1e-6)
    assert scores.correct.dtype == torch.bool
    assert torch.equal(scores.correct, logits.argmax(-1) == labels_T[kept])
    assert not scores.loss.requires_grad


def test_scores_add_up_by_example_also_where_one_has_no_label():
    hidden_TD, head_VD, labels_T = make_inputs(tokens=14, labelled=1.0)
    labels_T[4:7] = labels_T[12:] = IGNORE_INDEX  # the last one as the filler of a CPU
    scores = score_tokens(hidden_TD, head_VD, labels_T)
    loss, right, tokens = scores.sum_by_example(torch.tensor([0, 4, 7, 12, 14], dtype=torch.int32))
    assert tokens.tolist() == [4, 0, 5, 0]
    assert loss[0].item() == pytest.approx(scores.loss[:4].sum().item(), rel=1e-6)
    assert math.isclose(loss.sum().item(), scores.loss.sum().item(), rel_tol=1e-6)
    assert int(right.sum()) == int(scores.correct.sum()) and loss[1] == 0


def test_a_head_that_wants_a_gradient_is_refused():
    hidden_TD, head_VD, labels_T = make_inputs()
    with pytest.raises(ValueError, match="frozen"):
        linear_cross_entropy(hidden_TD, head_VD.requires_grad_(), labels_T)


@pytest.mark.parametrize("compute", [linear_cross_entropy, score_tokens])
def test_shapes_that_do_not_agree_are_refused(compute):
    hidden_TD, head_VD, labels_T = make_inputs()
    for inputs in (
        (hidden_TD, head_VD, labels_T[:-1]),
        (hidden_TD, head_VD[:, :-1], labels_T),
        (hidden_TD[None], head_VD, labels_T[:1]),
    ):
        with pytest.raises(ValueError, match="do not agree"):
            compute(*inputs)


def test_a_plan_for_a_card_cuts_the_vocabulary_as_the_card_does(small_blocks, monkeypatch):
    monkeypatch.setitem(chunked_loss.BLOCK_TOKENS, "cuda", 60)
    head_VD = torch.zeros(100, 4)
    assert [len(block) for block in chunked_loss._blocks(head_VD)] == [30, 30, 30, 10]
    with planned_on("cuda"):
        assert [len(block) for block in chunked_loss._blocks(head_VD)] == [60, 40]
