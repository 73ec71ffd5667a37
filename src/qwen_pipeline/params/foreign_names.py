"""What other trainers call things: the name here, or why there is no such parameter.

Spelling leads astray here: ``lora_rank`` is near to ``lora_r``, but ``per_device_train_batch_size`` is nearest to
``effective_batch_size``. Source: the names of transformers' ``TrainingArguments``, TRL, peft, bitsandbytes,
LLaMA-Factory, axolotl and Unsloth.
"""

from collections.abc import Mapping
from types import MappingProxyType

# Our name: what others call it.
_CALLED: Mapping[str, str] = MappingProxyType(
    {
        "model_name": "model model_id model_path model_name_or_path base_model pretrained_model_name_or_path",
        "model_revision": "revision revision_of_model",
        "data_dir": "data data_path dataset dataset_dir dataset_name dataset_path datasets train_file",
        "validation_fraction": "val_size val_set_size val_split validation_size validation_split eval_size",
        "test_fraction": "test_size test_split",
        "num_epochs": "epoch epochs n_epochs num_train_epochs train_epochs",
        "batch_size": "micro_batch_size per_device_train_batch_size per_gpu_train_batch_size train_batch_size",
        "evaluation_batch_size": "eval_batch_size per_device_eval_batch_size per_gpu_eval_batch_size",
        "effective_batch_size": "global_batch_size total_batch_size",
        "gradient_accumulation_steps": "accumulation_steps accumulate_grad_batches grad_accum gradient_accumulation",
        "max_sequence_length": "block_size context_length cutoff_len max_len max_length max_seq_len max_seq_length "
        "model_max_length seq_len seq_length sequence_len",
        "learning_rate": "lr",
        "lr_scheduler_type": "lr_scheduler scheduler scheduler_type",
        "lr_scheduler_kwargs": "scheduler_kwargs",
        "warmup_ratio": "warmup warmup_proportion",
        "optim": "optimiser optimizer optimizer_type",
        "max_grad_norm": "clip_grad_norm grad_clip gradient_clipping max_norm",
        "lora_r": "lora_dim lora_rank r rank",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "use_rslora": "peft_use_rslora rslora",
        "use_dora": "dora peft_use_dora",
        "loraplus_lr_ratio": "lora_plus_lr_ratio",
        "neftune_noise_alpha": "neftune_alpha noise_alpha",
        "gradient_checkpointing": "use_gradient_checkpointing activation_checkpointing",
        "seed": "data_seed random_seed random_state",
        "eval_strategy": "evaluation_strategy",
        "early_stopping_patience": "early_stopping early_stopping_steps patience",
        "max_memory_gb": "max_memory gpu_memory_limit",
        "dataloader_num_workers": "num_workers",
        "tokenize_workers": "dataset_num_proc dataset_processes num_proc preprocessing_num_workers",
        "train_on_turns": "mask_history",
        "export_shard_gb": "export_size max_shard_size",
        "tokenizer_kwargs.padding_side": "padding_side",
        "tokenizer_kwargs.truncation_side": "truncation_side",
        "tokenizer_kwargs.pad_token": "pad_token",
        **{
            f"generation_config.{name}": name
            for name in ("do_sample", "max_new_tokens", "repetition_penalty", "temperature", "top_k", "top_p")
        },
    }
)
# What happens here instead: what others set for it.
_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "The base is always loaded in 4 bits (NF4, double quantisation).": "bnb_4bit_compute_dtype "
        "bnb_4bit_quant_type bnb_4bit_use_double_quant double_quantization load_in_4bit load_in_8bit quantization "
        "quantization_bit quantization_config quantization_method quantization_type",
        "Rows are always packed up to the batch's tokens, never padded, and do not see one another.": "group_by_length "
        "neat_packing packing pad_to_max_length pad_to_sequence_len padding_free sample_packing",
        "Adapters sit on all linear layers of attention and feed-forward.": "bias lora_bias lora_modules_to_save lora_target "
        "lora_target_linear lora_target_modules modules_to_save target_modules",
        "Each training is a run in MLflow; MLFLOW_TRACKING_URI says where.": "logging_dir plot_loss report_to run_name "
        "use_swanlab use_wandb wandb wandb_project",
        "The chat template is the model's own; thinking says what answers without reasoning get.": "chat_template "
        "conversation_template enable_thinking prompt_template template",
        "Only answers are trained; train_on_turns says which.": "assistant_only_loss completion_only_loss mask_prompt "
        "train_on_input train_on_inputs train_on_prompt",
        "A training that was stopped goes on from its newest checkpoint by itself.": "auto_resume_from_checkpoints resume "
        "resume_from_checkpoint",
        "A training that is done is made anew with kedro run --force train; older versions stay.": "overwrite_output_dir",
        "The adapter goes to data/06_models/adapter, the exported model to data/06_models/exported_model; checkpoint_dir "
        "moves the checkpoints.": "output_dir output_path save_path",
        "Training runs in one process on one GPU; max_memory_gb and gradient_checkpointing=offload make a model fit.": "ddp "
        "ddp_find_unused_parameters ddp_timeout deepspeed fsdp fsdp_config tensor_parallel",
        "bf16=true or fp16=true says in which type is computed.": "compute_dtype compute_type dtype mixed_precision precision "
        "pure_bf16 torch_dtype",
        "Attention and kernels are the project's own, chosen for the machine.": "attn_implementation enable_liger_kernel "
        "flash_attention flash_attention_2 flash_attn liger_kernel tf32 torch_compile use_liger_kernel use_unsloth xformers_attention",
        "What is trained is always a LoRA adapter, on answers (SFT).": "adapter do_eval do_predict do_train finetuning_type "
        "method peft_type rl stage task task_type training_type use_lora use_peft",
        "Set batch_size=auto: the memory plan chooses.": "auto_find_batch_size",
        "Put fewer rows into data_dir, or set max_steps.": "max_eval_samples max_samples max_train_samples",
        "The best has the lowest validation loss; see load_best_model_at_end.": "greater_is_better metric_for_best_model",
        "The device is chosen by CUDA_VISIBLE_DEVICES.": "device device_map gpu gpu_id gpus local_rank no_cuda use_cpu",
        "Code that comes with a model is never run.": "trust_remote_code",
        "There is no cache to clear: a stage runs again when its data, code or parameters change.": "cache_path "
        "dataset_prepared_path overwrite_cache tokenized_path",
        "A training begins with a new adapter on the base model; keep the older rows beside the new ones.": "adapter_name_or_path "
        "adapter_path create_new_adapter lora_model_dir resume_lora_training",
        "The model's own tokenizer is used, and its chat template ends an answer.": "add_special_tokens eos_token resize_vocab "
        "special_tokens",
        "A system prompt belongs to its row: a turn with the role system, or a field named system.": "default_system "
        "default_system_message system_prompt",
        "Fields are found by their names; column_map names yours.": "dataset_text_field field_messages formatting text_column",
        "export_formats and gguf_types say what is exported, to data/06_models/exported_model.": "export_dir "
        "export_quantization_bit merge_lora save_method",
        "Nothing is uploaded; kedro run leaves all files in data/.": "hub_model_id hub_token push_to_hub",
    }
)
_NAME_HERE = MappingProxyType({theirs: ours for ours, names in _CALLED.items() for theirs in names.split()})
_HOW_HERE = MappingProxyType({theirs: how for how, names in _INSTEAD.items() for theirs in names.split()})


def name_here(name: str) -> str | None:
    """The parameter that other trainers call ``name``; ``None`` where there is none."""
    return _NAME_HERE.get(name)


def remedy_for_foreign(name: str) -> str | None:
    """What to do instead of setting another trainer's parameter, as a sentence; ``None`` for an unknown name."""
    if (ours := name_here(name)) is not None:
        return f"It is called {ours} here."
    return f"{_HOW_HERE[name]} Leave {name} out." if name in _HOW_HERE else None
