"""All formats from one tiny adapter, and exports that were made wrong on purpose."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file, save_file

from qwen_pipeline.errors import DiskSpaceError, ExportError, ExportGateError
from qwen_pipeline.model.merge import AdapterWeights, StoredWeights
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.export import ExportParameters
from qwen_pipeline.release import clients, disk, exports, live, llama_client
from qwen_pipeline.release.exports import Exports, choose
from qwen_pipeline.release.reading import Distance
from release.tiny_export import CONVERSATIONS, rows_of

Run = Callable[..., dict[str, Any]]


def card(export: str, checks: Any, files: Any) -> str:
    return f"# {export} {len(checks)}\n"


@pytest.fixture
def run(base_folder: Path, adapter_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Export into ``tmp_path/out``, without llama.cpp even where it is installed."""
    monkeypatch.setattr(clients, "is_installed", lambda: False)

    def run_with(formats: str = "merged", adapter: Path = adapter_folder, **more: Any) -> dict[str, Any]:
        parameters = ExportParameters(export_formats=formats, **{"export_max_mean_kl": 0.001, **more})
        source = ModelSource(str(base_folder))
        return Exports(source, adapter, parameters, tmp_path / "out", card).run(
            rows_of(base_folder), CONVERSATIONS
        )

    return run_with


def test_every_format_is_written_opened_by_its_client_and_passes(run: Run, tmp_path: Path) -> None:
    report = run("adapter+merged+ollama", export_shard_gb=1e-4)
    checks = {check["export"]: check for check in report["checks"]}
    assert list(checks) == ["adapter", "merged", "f16", "q8_0", "ollama"]
    assert all(check["passed"] and check["same_prompts"] == 1 for check in checks.values())
    assert checks["adapter"]["mean_kl"] < 1e-9
    assert checks["adapter"]["same_answers"] == checks["merged"]["same_answers"] == 1
    assert report["prompts_as_trained"] == 1
    assert 0 < checks["f16"]["mean_kl"] < 0.001
    assert checks["q8_0"]["mean_kl"] < 0.01
    assert report["merges"]["4-bit"]["max_logit_difference"] < 1e-3
    assert report["merges"]["16-bit"]["max_logit_difference"] > 1e-3
    assert len(list((tmp_path / "out/merged").glob("model-*.safetensors"))) > 1
    written = {one.relative_to(tmp_path / "out").as_posix() for one in (tmp_path / "out").glob("*/*")}
    assert set(report["files"]) == written  # with / on Windows too
    for folder in ("adapter", "merged"):
        generation = json.loads((tmp_path / "out" / folder / "generation_config.json").read_text())
        assert generation["max_new_tokens"] == 64
        assert (tmp_path / "out" / folder / "README.md").read_text() == f"# {folder} 1\n"


def test_everybody_may_read_what_is_exported_and_the_licence_lies_beside_it(
    base_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    licence = tmp_path / "LICENSE.txt"
    licence.write_text("As is.")
    source, parameters = ModelSource(str(base_folder)), ExportParameters(export_formats="merged")
    Exports(source, adapter_folder, parameters, tmp_path / "out", card, licence).run(
        rows_of(base_folder), CONVERSATIONS
    )
    folder = tmp_path / "out/merged"
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
    assert (folder / "LICENSE").read_text() == "As is."


def test_plain_peft_finds_the_base_of_the_exported_adapter(run: Run, tmp_path: Path) -> None:
    run("adapter")
    model = AutoPeftModelForCausalLM.from_pretrained(str(tmp_path / "out/adapter"))
    assert any("lora_A" in name for name, _ in model.named_parameters())


def test_the_cap_is_kept_before_anything_is_loaded_and_large_models_go_where_they_fit(
    run: Run, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(exports, "keep_to_cap", lambda cap, device: told.append(("cap", cap)))
    monkeypatch.setattr(clients, "WHOLE_BYTES", 0)
    host = torch.device("cpu")
    for module in (live, clients):
        monkeypatch.setattr(module, "place_for", lambda size, device, what: told.append((what, size)) or host)
    run("merged", max_memory_gb=5)
    shapes = [torch.Size(shape).numel() for shape in StoredWeights(base_folder).shapes.values()]
    (_, live_bytes), (_, merged_bytes) = told[1:]
    assert told[0] == ("cap", 5)
    assert merged_bytes == 2 * sum(shapes)
    assert 0.5 * sum(shapes) < live_bytes < 4 * sum(shapes)


def test_an_adapter_is_exported_from_a_base_in_the_older_format(
    base_folder: Path, adapter_folder: Path, tmp_path: Path
) -> None:
    """Only a merge reads weights tensor by tensor, and so needs safetensors."""
    base, adapter = shutil.copytree(base_folder, tmp_path / "base"), tmp_path / "adapter"
    torch.save(load_file(base / "model.safetensors"), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    shutil.copytree(adapter_folder, adapter)
    clients.write_base_path(adapter, str(base), None)
    made = Exports(
        ModelSource(str(base)), adapter, ExportParameters(export_formats="adapter"), tmp_path / "out", card
    )
    assert [check["passed"] for check in made.run(rows_of(base), CONVERSATIONS)["checks"]] == [True]


def test_a_merge_with_the_wrong_scale_does_not_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    delta = AdapterWeights.delta
    monkeypatch.setattr(AdapterWeights, "delta", lambda self, target: 0.5 * delta(self, target))
    with pytest.raises(ExportGateError, match=r"merged: mean KL .* 0.001 allowed"):
        run("merged")


def test_merged_weights_that_were_damaged_after_the_merge_do_not_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = exports.write_merged

    def damage(merged: Any, target: Path, *rest: Any) -> list[Path]:
        files = written(merged, target, *rest)
        weights = load_file(files[0])
        weights["model.layers.1.self_attn.v_proj.weight"] *= -1
        save_file(weights, files[0], metadata={"format": "pt"})
        return files

    monkeypatch.setattr(exports, "write_merged", damage)
    with pytest.raises(ExportGateError, match=r"merged: mean KL"):
        run("merged")


def test_a_merged_model_with_another_chat_template_does_not_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Exports._finish

    def change(self: Exports, folder: Path, live: Any) -> None:
        finish(self, folder, live)
        template = folder / "chat_template.jinja"
        template.write_text(template.read_text().replace("<think>\\n' -}}", "' -}}"))

    monkeypatch.setattr(Exports, "_finish", change)
    with pytest.raises(ExportGateError, match=r"merged: 100% of the prompts have other token ids"):
        run("merged")


def test_an_adapter_whose_weights_changed_on_the_way_does_not_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Exports._finish

    def damage(self: Exports, folder: Path, live: Any) -> None:
        finish(self, folder, live)
        weights = load_file(folder / "adapter_model.safetensors")
        name = next(name for name in weights if name.endswith("down_proj.lora_B.weight"))
        save_file(
            {**weights, name: -weights[name]}, folder / "adapter_model.safetensors", metadata={"format": "pt"}
        )

    monkeypatch.setattr(Exports, "_finish", damage)
    with pytest.raises(ExportGateError, match=r"adapter: mean KL .* 0\.0001 allowed"):
        run("adapter")


@pytest.mark.parametrize("kind", ["f16", "q8_0"])
def test_a_gguf_file_with_two_tensors_exchanged_does_not_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    names = exports.tensor_names

    def exchange(config: Any, weights: Any) -> dict[str, str]:
        found = names(config, weights)
        first, second = (f"model.layers.{number}.self_attn.v_proj.weight" for number in (0, 1))
        return {**found, first: found[second], second: found[first]}

    monkeypatch.setattr("qwen_pipeline.release.gguf_file.tensor_names", exchange)
    with pytest.raises(ExportGateError, match=rf"{kind}: mean KL"):
        run("gguf", gguf_types=kind)


@pytest.mark.parametrize("kind", ["f16", "q8_0"])
def test_a_gguf_file_damaged_where_no_compared_row_shows_it_does_not_pass(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write = exports.write_gguf

    def damage(path: Path, *rest: Any) -> dict[str, str]:
        digests = write(path, *rest)
        stored = next(one for one in gguf.GGUFReader(path, "r+").tensors if one.name == "token_embd.weight")
        stored.data[-1] = 0  # a token that is in no row
        stored.data.base.flush()
        return digests

    monkeypatch.setattr(exports, "write_gguf", damage)
    with pytest.raises(ExportGateError, match=rf"{kind}: .*% of the tensors do not lie in the file"):
        run("gguf", gguf_types=kind, export_max_mean_kl=1.0)


def test_a_gguf_file_with_another_vocabulary_does_not_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gguf.GGUFWriter.add_token_merges",
        lambda self, merges: self.add_array("tokenizer.ggml.merges", list(reversed(merges))),
    )
    with pytest.raises(ExportGateError, match=r"f16: 100% of the prompts"):
        run("gguf", gguf_types="f16")


def test_a_modelfile_that_never_stops_does_not_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written = exports.write_modelfile
    monkeypatch.setattr(
        exports, "write_modelfile", lambda *a: written(*a).replace('im_end|>"\n', 'im_start|>"\n')
    )
    with pytest.raises(ExportGateError, match=r"ollama: 100% of the prompts"):
        run("ollama", gguf_types="q8_0")


def test_an_adapter_of_another_base_is_refused_before_anything_is_written(
    run: Run, adapter_folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(adapter_folder, tmp_path / "other"))
    clients.write_base_path(other, "Qwen/Qwen3-4B", None)
    with pytest.raises(ExportError, match=r"trained on Qwen/Qwen3-4B, .* set model_name=Qwen/Qwen3-4B"):
        run("merged", adapter=other)
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_changed_since_the_training_is_refused(
    run: Run, adapter_folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(adapter_folder, tmp_path / "other"))
    template = other / "chat_template.jinja"
    template.write_text(template.read_text() + "{# new #}")
    with pytest.raises(ExportError, match="the chat template changed"):
        run("merged", adapter=other)
    assert not (tmp_path / "out").exists()


def test_a_disk_too_small_for_the_merge_is_told_before_anything_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DiskSpaceError, match=r"needs [1-9].* MiB in .*export_formats=adapter"):
        run("merged")
    assert not (tmp_path / "out").exists()


def test_a_k_quant_without_llama_cpp_names_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_client, "is_installed", lambda: False)
    with pytest.raises(ExportError, match=r"gguf_types=q4_k_m needs .*pip install"):
        run("gguf", gguf_types="q4_k_m")
    assert not (tmp_path / "out").exists()


def test_no_held_out_row_is_told(base_folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    made = Exports(ModelSource(str(base_folder)), adapter_folder, ExportParameters(), tmp_path / "out", card)
    with pytest.raises(ExportError, match="no row to compare"):
        made.run([], [])


def found(mean_kl: float, loss: float) -> Distance:
    return Distance(mean_kl, loss, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("sixteen", "four", "chosen"),
    [
        ((5e-4, 0.10), (1e-9, 0.11), "16-bit"),
        ((5e-4, 0.12), (1e-9, 0.11), "4-bit"),
        ((5e-2, 0.10), (1e-9, 0.11), "4-bit"),
        ((5e-2, 0.10), (2e-3, 0.11), "4-bit"),
    ],
)
def test_the_lower_loss_is_chosen_among_the_merges_that_answer_like_the_adapter(
    sixteen: tuple[float, float], four: tuple[float, float], chosen: str
) -> None:
    assert choose({"16-bit": found(*sixteen), "4-bit": found(*four)}, 0.001) == chosen


def test_no_model_of_an_export_is_left_in_evaluation_mode_while_it_is_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[bool] = []
    read = clients.read_model
    monkeypatch.setattr(clients, "read_model", lambda m, rows: (modes.append(m.training), read(m, rows))[1])
    run("adapter")
    assert modes == [True]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("longest", "asked"), [(512, []), (7000, ["7064"]), (10**6, ["8192"])])
def test_ollama_gets_a_context_for_the_longest_row_and_an_answer_as_far_as_the_model_goes(
    base_folder: Path, adapter_folder: Path, tmp_path: Path, longest: int, asked: list[str]
) -> None:
    base = Path(shutil.copytree(base_folder, tmp_path / base_folder.name))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 8192}))
    parameters = ExportParameters(
        export_formats="ollama", gguf_types="q8_0", max_sequence_length=longest, export_max_mean_kl=0.01
    )
    Exports(ModelSource(str(base)), adapter_folder, parameters, tmp_path / "out", card).run(
        rows_of(base), CONVERSATIONS
    )
    assert re.findall(r"num_ctx (\d+)", (tmp_path / "out/ollama/Modelfile").read_text()) == asked
