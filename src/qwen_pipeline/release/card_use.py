"""How each export is loaded, in lines that can be pasted: the part of a model card that people try first."""

from collections.abc import Sequence

LIBRARIES = {"adapter": "peft", "merged": "transformers", "gguf": "gguf", "ollama": "ollama"}
_PYTHON = """\
```python
{imports}

folder = "."  # where this card lies
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {loader}.from_pretrained(folder, device_map="auto")
{settings}prompt = tokenizer.apply_chat_template(
    [{{"role": "user", "content": "…"}}], add_generation_prompt=True, return_tensors="pt", return_dict=True
).to(model.device)
answer = model.generate(**prompt)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True))
```"""


def how_to_load(export: str, files: Sequence[str], answer_tokens: int) -> list[str]:
    """The section of a card that shows how its folder is used.

    Args:
        export: ``adapter``, ``merged``, ``gguf`` or ``ollama``.
        files: Names of the files in the folder.
        answer_tokens: Most tokens of an answer.
    """
    lines = {
        "adapter": lambda: _python("AutoPeftModelForCausalLM", _ADAPTER, _SETTINGS, _BASE),
        "merged": lambda: _python("AutoModelForCausalLM", _MERGED, "", ""),
        "gguf": lambda: _gguf(files, answer_tokens),
        "ollama": lambda: _OLLAMA,
    }[export]()
    return ["## Use", "", *lines, ""]


_ADAPTER = (
    "from peft import AutoPeftModelForCausalLM\nfrom transformers import AutoTokenizer, GenerationConfig"
)
_MERGED = "from transformers import AutoModelForCausalLM, AutoTokenizer"
_SETTINGS = (
    "model.generation_config = GenerationConfig.from_pretrained(folder)  # peft leaves the base model's\n"
)
_BASE = (
    "The base model is named in `adapter_config.json` as `base_model_name_or_path`; on another machine put its place "
    "there. What was measured is this with `quantization_config=BitsAndBytesConfig(load_in_4bit=True, "
    'bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)`.'
)
_OLLAMA = [
    "```sh",
    "ollama create my-model -f Modelfile",
    'ollama run my-model "…"',
    "```",
    "",
    "Keep the folder `gguf` beside this one: the Modelfile names a file in it. Template and stop word are those of "
    "the training.",
]


def _python(loader: str, imports: str, settings: str, note: str) -> list[str]:
    code = _PYTHON.format(imports=imports, loader=loader, settings=settings)
    return [*code.splitlines(), "", *([note, ""] if note else []), _PROMPT]


_PROMPT = (
    "The tokenizer here has the chat template that was trained on, and `generation_config.json` the settings that "
    "were evaluated."
)


def _gguf(files: Sequence[str], answer_tokens: int) -> list[str]:
    models = [name for name in files if name.endswith(".gguf")]
    return [
        "```sh",
        f"llama-cli -m {models[-1] if models else 'model.gguf'} --jinja -n {answer_tokens} -p …",
        "```",
        "",
        f"{', '.join(f'`{name}`' for name in models)}: the smaller, the further from the adapter (see below). Tokenizer "
        "and chat template are inside.",
    ]
