"""The plan: what fits, what is fastest, and what is said when nothing fits."""

import io
import json
import re
from dataclasses import replace
from functools import partial

import pytest
import torch
from rich.console import Console

from qwen_pipeline.errors import MemoryPlanError
from qwen_pipeline.memory import planner as planner_module
from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.cap import MemoryCap
from qwen_pipeline.memory.choice import make_plan
from qwen_pipeline.memory.live_bytes import LiveBytes
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.parts import CUBLAS_WORKSPACE, FRAGMENTATION, optimiser_bytes
from qwen_pipeline.memory.plan import PlanRequest
from qwen_pipeline.memory.plan_table import compare_with_measured, describe_settings, plan_report, plan_table
from qwen_pipeline.memory.planned_attention import planned_attention
from qwen_pipeline.memory.planner import Planner
from qwen_pipeline.memory.trace import trace_step

TRACED = {}  # One trace serves all tests with the same longest row.


@pytest.fixture(autouse=True)
def trace_once(monkeypatch):
    """Trace each micro-batch size once for the whole module."""
    start = Planner.__init__

    def begin(self, request, traced=None):
        start(
            self,
            request,
            TRACED.setdefault((id(request.config), request.recipe.attention, max(request.row_lengths)), {}),
        )

    monkeypatch.setattr(Planner, "__init__", begin)


def request(config, recipe, usable_mib, rows=(256, 128, 64, 200), **settings):
    values = {"examples_per_step": 4, "optim": "adamw_torch", "on_gpu": False, **settings}
    return PlanRequest(config, recipe, rows, cap=MemoryCap(usable_mib / 1024, 0.0), **values)


def needs_mib(config, recipe, tokens, policy, **settings):
    planner = Planner(request(config, recipe, 1, **settings))
    return planner.plan(tokens, ActivationPolicy.parse(policy), 4).needs_gib * 1024


def test_the_parts_add_up_to_the_traced_peak(config, recipe):
    planner = Planner(request(config, recipe, 1))
    plan = planner.plan(256, ActivationPolicy(0), 1)
    trace = trace_step(config, recipe, planner._shape(256), ActivationPolicy(0))
    state = 2 * -(-4 * trace.model.adapter_elements // 512) * 512
    assert plan.parts.process == trace.peak()[0] + state
    assert plan.parts.weights == pytest.approx(trace.model.weights + trace.model.buffers, rel=0.3)
    assert sum(plan.parts.as_gib().values()) * GIB == pytest.approx(plan.parts.process)


def test_room_for_everything_keeps_all_activations(config, recipe):
    plan = make_plan(request(config, recipe, 10_000))
    assert plan.policy == ActivationPolicy(None) and plan.fits
    assert plan.max_tokens == 256 + 128 + 64 + 200


def test_a_tighter_cap_keeps_fewer_layers_and_always_fits(config, recipe):
    roomy = needs_mib(config, recipe, 256, "keep")
    tight = needs_mib(config, recipe, 256, "recompute")
    kept = []
    for share in (1.01, 0.6, 0.3, 0.01):
        plan = make_plan(request(config, recipe, tight + share * (roomy - tight), batch_size=1))
        assert plan.fits
        kept.append(9 if plan.policy == ActivationPolicy(None) else plan.policy.kept_layers)
    assert kept == sorted(kept, reverse=True) and kept[0] == 9 and kept[-1] == 0 and len(set(kept)) >= 3


def test_the_plan_found_is_the_fastest_of_all_that_fit(config, recipe):
    usable = needs_mib(config, recipe, 512, "keep:4")
    plan = make_plan(request(config, recipe, usable, rows=[256] * 4))
    planner = Planner(request(config, recipe, usable, rows=[256] * 4))
    others = [planner.plan(tokens, policy, 4) for tokens in (256, 512, 1024) for policy in planner._choices()]
    assert plan.relative_time == min(other.relative_time for other in others if other.fits)


def test_on_a_card_offloading_is_taken_when_nothing_else_fits(config, recipe):
    frugal = needs_mib(config, recipe, 256, "offload", on_gpu=True)
    recompute = needs_mib(config, recipe, 256, "recompute", on_gpu=True)
    assert frugal < recompute
    plan = make_plan(request(config, recipe, (frugal + recompute) / 2, batch_size=1, on_gpu=True))
    assert str(plan.policy) == "offload" and plan.fits


def test_a_batch_size_only_bounds_the_rows_where_fewer_tokens_are_faster(config, recipe, monkeypatch):
    monkeypatch.setattr(planner_module, "DEQUANTISE_TOKENS", 10)
    usable = needs_mib(config, recipe, 1024, "recompute", rows=[256] * 8, examples_per_step=8) * 1.02
    tight = request(config, recipe, usable, rows=[256] * 8, batch_size=4, examples_per_step=8)
    together = Planner(tight).fastest(1024, 4)
    plan = make_plan(tight)
    assert together.fits and plan.fits
    assert plan.max_rows == 4 and plan.max_tokens < 1024
    assert plan.relative_time < together.relative_time
    roomy = make_plan(request(config, recipe, 10_000, rows=[256] * 8, batch_size=4, examples_per_step=8))
    assert roomy.max_tokens == 1024 and roomy.policy == ActivationPolicy(None)


@pytest.mark.parametrize("fitting", [1, 2])
def test_a_batch_size_that_does_not_fit_names_the_one_that_does(config, recipe, fitting):
    usable = needs_mib(config, recipe, 256 * fitting, "recompute") * 1.02
    with pytest.raises(MemoryPlanError) as caught:
        make_plan(request(config, recipe, usable, rows=[256] * 8, batch_size=8, examples_per_step=8))
    assert str(caught.value).startswith("batch_size=8 needs ")
    assert str(caught.value).endswith(
        f"Set batch_size={fitting}, or leave it to the plan with batch_size=auto."
    )


@pytest.mark.parametrize("share", [0.7, 0.25])
def test_a_row_that_never_fits_names_a_length_that_does(config, recipe, share):
    usable = needs_mib(config, recipe, 1024, "recompute") * share
    tight = request(config, recipe, usable, rows=[1024], examples_per_step=1)
    with pytest.raises(MemoryPlanError, match=r"A row of 1024 tokens needs .* even alone") as caught:
        make_plan(tight)
    length = int(str(caught.value).split("max_sequence_length=")[1].split()[0])
    assert 64 <= length < 1024
    assert make_plan(request(config, recipe, usable, rows=[length], examples_per_step=1)).fits


def test_where_less_is_free_than_allowed_no_higher_cap_is_proposed(config, recipe):
    usable = needs_mib(config, recipe, 1024, "recompute") * 0.7
    tight = request(config, recipe, usable, rows=[1024], examples_per_step=1)
    with pytest.raises(MemoryPlanError) as caught:
        make_plan(replace(tight, cap=replace(tight.cap, is_shortage=True)))
    told = str(caught.value)
    assert re.search(
        r"; the free memory of [\d.]+ GiB allows [\d.]+\. Set max_sequence_length=\d+, or make [\d.]+ GiB free\.$",
        told,
    )
    assert "max_memory_gb" not in told


@pytest.mark.parametrize(
    ("is_shortage", "told"), [(False, r"Set max_memory_gb=[\d.]+"), (True, r"Make [\d.]+ GiB free")]
)
def test_where_not_even_a_short_row_fits_a_smaller_model_is_proposed_and_no_length(
    config, recipe, is_shortage, told
):
    tight = request(config, recipe, 2, rows=[1024], examples_per_step=1)
    with pytest.raises(MemoryPlanError, match=rf"allows 0\.0\. {told}, or use a smaller model\.$"):
        make_plan(replace(tight, cap=replace(tight.cap, is_shortage=is_shortage)))


def test_a_policy_that_the_user_has_fixed_stays(config, recipe):
    plan = make_plan(request(config, recipe, 10_000, policy=ActivationPolicy(0)))
    assert plan.policy == ActivationPolicy(0)
    tight = needs_mib(config, recipe, 256, "recompute") * 1.05
    with pytest.raises(MemoryPlanError, match=r"Set gradient_checkpointing=auto or .*max_memory_gb=\d"):
        make_plan(request(config, recipe, tight, policy=ActivationPolicy(None), batch_size=1))


def test_a_step_of_one_micro_batch_holds_no_earlier_gradients(config, recipe):
    planner = Planner(request(config, recipe, 1, rows=[256], examples_per_step=1))
    assert planner.plan(256, ActivationPolicy(0), 1).parts.gradients == 0
    planner = Planner(request(config, recipe, 1, rows=[256] * 2, examples_per_step=2))
    parts = planner.plan(256, ActivationPolicy(0), 1).parts
    assert parts.gradients == pytest.approx(parts.adapters, rel=0.1)


def test_optimiser_state_by_name():
    sizes = [1_000, 50_000, 200_000]
    full = optimiser_bytes("adamw_torch", sizes)
    assert full[1] == 0 and full[0] == pytest.approx(8 * 251_000, rel=0.01)
    inside, outside = optimiser_bytes("paged_adamw_8bit", sizes)
    assert outside == pytest.approx(2 * 200_000 * (1 + 4 / 256), rel=0.01)
    assert inside == pytest.approx(8 * 1_000 + 2 * 50_000 * (1 + 4 / 256), rel=0.05)
    assert optimiser_bytes("paged_adamw_8bit", sizes, on_gpu=False) == (inside + outside, 0)
    assert optimiser_bytes("sgd", sizes) == (0, 0)


@pytest.mark.parametrize("optim", ["adamw_torch", "paged_adamw_8bit", "adamw_8bit", "adamw_torch_fused"])
def test_optimiser_state_is_that_of_the_library(optim):
    import bitsandbytes

    classes = {
        "adamw_torch": torch.optim.AdamW,
        "adamw_torch_fused": partial(torch.optim.AdamW, fused=True),
        "paged_adamw_8bit": bitsandbytes.optim.AdamW8bit,
        "adamw_8bit": bitsandbytes.optim.AdamW8bit,
    }
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((16, 32), (64, 1024), (256, 1024))]
    optimizer = classes[optim](parameters, lr=1e-3)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    states = [
        value.nbytes
        for parameter in parameters
        for name, value in optimizer.state[parameter].items()
        if isinstance(value, torch.Tensor) and "qmap" not in name and value.numel() > 1
    ]
    planned = optimiser_bytes(optim, [parameter.numel() for parameter in parameters], on_gpu=False)[0]
    assert planned == pytest.approx(sum(states), rel=0.02)


def test_the_report_is_plain_data_and_the_table_shows_every_part(config, recipe):
    plan = make_plan(request(config, recipe, 10_000))
    report = json.loads(json.dumps(plan_report(plan)))
    assert report["settings"]["gradient_checkpointing"] == "keep" and report["fits"]
    assert sum(report["parts_gib"].values()) == pytest.approx(report["process_gib"], abs=0.001)
    console = Console(file=io.StringIO(), width=120)
    console.print(plan_table(plan))
    shown = console.file.getvalue()
    assert "Adapters" in shown and "Optimiser state" in shown and "648 tokens" in shown


def test_one_row_is_told_in_the_singular(config, recipe):
    plan = make_plan(request(config, recipe, 10_000))
    told = describe_settings(replace(plan, max_rows=1))
    assert " tokens and 1 row; " in told


def test_planned_and_measured_are_put_side_by_side(config, recipe):
    plan = make_plan(request(config, recipe, 10_000))
    measured = plan.parts.allocated / GIB * 1.03
    found = compare_with_measured(plan, measured, None, plan.parts.process / GIB * 0.9)
    assert found["allocated_error"] == pytest.approx(0.03)
    assert found["process_error"] == pytest.approx(-0.1)
    assert "measured_reserved_gib" not in found and found["planned_reserved_gib"] > 0


def test_the_real_model_is_planned_within_its_known_size(shared_dir, recipe):
    """Qwen3-4B, 2,048 tokens, r=8: the floor of 2.47 GiB and what a single step adds to it."""
    from transformers import AutoConfig

    from qwen_pipeline.memory.planned_attention import register_planned_attention
    from qwen_pipeline.memory.trace import StepRecipe

    config = AutoConfig.from_pretrained(shared_dir / "qwen3-4b-thinking-2507")
    on_card = StepRecipe(recipe.attach_adapters, recipe.micro_step, register_planned_attention())
    cap = MemoryCap(8.0, 0.5)
    plan = make_plan(PlanRequest(config, on_card, [2048], 1, cap, policy=ActivationPolicy(0)))
    assert plan.parts.weights / GIB == pytest.approx(2.417, abs=0.002)
    assert 3.3 < plan.parts.allocated / GIB < 3.6


def test_short_rows_cost_the_varlen_kernel_memory_of_their_own(config, recipe):
    few = request(config, recipe, 1, rows=[256] * 64, examples_per_step=64)
    many = request(config, recipe, 1, rows=[16] * 64 + [256], examples_per_step=64)
    assert few.most_rows(1024) == 4 and many.most_rows(1024) == 64
    assert replace(many, batch_size=8).most_rows(1024) == 8
    assert replace(many, examples_per_step=5).most_rows(1024) == 5

    def peak(rows):
        query, key, value = (torch.zeros(1, heads, 256, 16, requires_grad=True) for heads in (4, 2, 2))
        with LiveBytes() as memory:
            planned_attention(None, query, key, value, None, row_lengths=(256 // rows,) * rows)[
                0
            ].sum().backward()
        return memory.peak

    assert peak(64) - peak(1) == 63 * 128 * 4 * (4 * 16 + 4)  # the kernel's accumulators and normalisers


def test_on_a_card_libraries_and_what_the_allocator_cannot_use_are_planned_and_the_context_is_not_reserved(
    config, recipe
):
    def parts(on_gpu):
        asked = request(config, recipe, 1, rows=(4,) * 4, optim="paged_adamw_8bit", on_gpu=on_gpu)
        asked = replace(asked, cap=MemoryCap(1.0, 0.5))
        return Planner(asked).plan(4, ActivationPolicy(0), 1).parts

    host, card = parts(False), parts(True)
    assert host.libraries == host.fragmentation == 0
    assert card.libraries == CUBLAS_WORKSPACE
    assert card.fragmentation == pytest.approx(FRAGMENTATION * (card.allocated + card.optimiser_paged), abs=1)
    for each in (host, card):
        assert each.process - each.reserved == each.context == GIB // 2
        assert min(vars(each).values()) >= 0


def test_the_optimisers_step_is_planned_where_it_takes_most(config, recipe):
    planner = Planner(request(config, recipe, 1, rows=(4,) * 4, on_gpu=True))
    model = planner.plan(4, ActivationPolicy(0), 1)
    adapters, state = model.parts.adapters, model.parts.optimiser
    assert model.parts.gradients == adapters and model.parts.activations == model.parts.logits == 0
    assert model.parts.workspace == adapters + state + adapters  # copies of both, and AdamW's square roots
    paged = Planner(request(config, recipe, 1, rows=(4,) * 4, optim="paged_adamw_8bit", on_gpu=True))
    assert paged.plan(4, ActivationPolicy(0), 1).parts.workspace < model.parts.workspace


def test_the_copy_of_paged_state_is_planned_as_it_lies_in_the_allocator(config, recipe, monkeypatch):
    monkeypatch.setattr("qwen_pipeline.memory.parts.PAGED_ELEMENTS", 1)

    def parts(optim):
        planner = Planner(request(config, recipe, 1, rows=(4,) * 4, optim=optim, on_gpu=True))
        return planner.plan(4, ActivationPolicy(0), 1).parts

    paged, plain = parts("paged_adamw_8bit"), parts("adamw_8bit")
    assert paged.optimiser == 0 and paged.optimiser_paged == plain.optimiser
    assert paged.workspace == plain.workspace == paged.adapters + paged.optimiser_paged
