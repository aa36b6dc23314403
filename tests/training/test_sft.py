# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""What a run trains, on what, and what it leaves behind; one step from the golden delta equals the original's."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import convert, golden_sources
from tiny_training import command_line, losses, read_facts, write_base
from transformers import AutoModelForImageTextToText, TrainerCallback, set_seed

from pandagpt import PandaGPTForConditionalGeneration, PandaGPTProcessor
from training.dry_run import trainable_by_module
from training.embeddings import main as embed
from training.model import build_model
from training.sft import Arguments, main, parse_arguments, public_source, train
from training.trainer import PandaGPTSFTConfig


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def stage_1(base, original_data, tmp_path_factory):
    """The folder of a short run, merged too."""
    output = tmp_path_factory.mktemp("stage_1")
    main(command_line(base, original_data, output, "--max_steps", 4, "--merge", "true", "--validation_share", 0.25))
    return output


def is_trained(name: str, choice: str) -> bool:
    """Whether a parameter of the given name is to move."""
    return {
        "lora": "lora_" in name or "projector.modules_to_save" in name,
        "projector": "projector.modules_to_save" in name,
        "full": "imagebind" not in name,
    }[choice]


@pytest.mark.parametrize("choice", ["lora", "projector", "full"])
def test_only_what_is_trained_moves(base, original_data, tmp_path, choice):
    # Two steps: LoRA's first matrix gets no gradient as long as its second is 0.
    more = ["--max_steps", 2, "--lr_scheduler_type", "constant", "--weight_decay", 0, "--save_strategy", "no"]
    arguments, args = parse_arguments(command_line(base, original_data, tmp_path, *more, "--train", choice))
    set_seed(args.seed)
    before = build_model(arguments).state_dict()
    after = train(arguments, args).model.state_dict()
    assert set(after) == set(before)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    expected = {name for name in after if is_trained(name, choice)}
    # Words that the data do not have keep their embedding, so the whole table is one tensor that moves.
    assert moved == expected
    if choice == "lora":
        assert sum("lora_" in name for name in moved) == 2 * 4 * 2  # layers, projections, A and B


def test_everything_unfreezes_imagebind(base):
    model = build_model(Arguments(model=str(base), data=["x"], train="everything"))
    assert model.train().model.imagebind.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_encoder_stays_in_eval_mode(base):
    model = build_model(Arguments(model=str(base), data=["x"]))
    assert not any(module.training for module in model.train().base_model.model.model.imagebind.modules())


def test_no_encoder_is_loaded_for_embeddings(base):
    model = build_model(Arguments(model=str(base), data=["x"]), has_embeddings=True)
    assert not [name for name, _ in model.named_parameters() if "imagebind" in name]


def test_trainable_parameters_by_module(base):
    counts = trainable_by_module(build_model(Arguments(model=str(base), data=["x"], lora_r=4)))
    assert counts["model.projector.modules_to_save.default"] == 64 * 64 + 64
    assert counts["model.language_model.layers.*.self_attn.q_proj.lora_A.default"] == 2 * 4 * 64
    assert len(counts) == 1 + 4 * 2


def test_stage_2_goes_on_from_stage_1(base, stage_1, original_data, tmp_path):
    saved = load_file(stage_1 / "adapter_model.safetensors")
    model = build_model(Arguments(model=str(base), data=["x"], adapter=str(stage_1), lora_dropout=0.0))
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert len(trained) == len(saved) == 18
    for name, parameter in trained.items():
        assert torch.equal(parameter, saved[name.replace(".modules_to_save.default", "").replace(".default", "")])
    assert model.peft_config["default"].lora_dropout == 0.0
    main(command_line(base, original_data, tmp_path, "--adapter", stage_1, "--max_steps", 1))
    assert losses(tmp_path)[0] < losses(stage_1)[0]
    assert read_facts(tmp_path)["continued_from"] == stage_1.name
    assert str(stage_1.parent) not in (tmp_path / "facts.json").read_text()


def test_only_adapter_processor_and_state_are_saved(stage_1):
    weights = set(load_file(stage_1 / "adapter_model.safetensors"))
    assert all("lora_" in name or "projector" in name for name in weights)
    assert not list(stage_1.glob("model*.safetensors"))
    (checkpoint,) = stage_1.glob("checkpoint-*")
    assert set(load_file(checkpoint / "adapter_model.safetensors")) == weights
    for folder in (stage_1, checkpoint):
        assert PandaGPTProcessor.from_pretrained(folder).chat_template


def test_facts_say_how_it_was_made(stage_1, base, original_data):
    facts = read_facts(stage_1)
    assert facts["base_model"] == base.name
    assert facts["data"] == [{"path": original_data.name, "on_hub": False}]
    assert str(base.parent) not in (stage_1 / "facts.json").read_text()
    assert facts["hyperparameters"]["learning_rate"] == 5e-3
    assert facts["hyperparameters"]["lora_r"] == 4
    assert (facts["steps"], facts["num_processes"], facts["distributed_type"]) == (4, 1, "NO")
    steps = [entry for entry in facts["history"] if "loss" in entry]
    for entry in steps:
        assert entry["image_token_accuracy"] == pytest.approx(entry["mean_token_accuracy"], abs=0.05)
        assert 0 < entry["padding_share"] < 1
        assert entry["tokens_per_second"] > 0
        assert "text_token_accuracy" not in entry
    assert "eval_loss" in facts["history"][-1]
    assert "eval_image_token_accuracy" in facts["history"][-1]


def test_public_sources(tmp_path):
    (tmp_path / "data.json").touch()
    source = {"path": str(tmp_path / "data.json"), "images": str(tmp_path), "weight": 2.0}
    assert public_source(source) == {"path": "data.json", "weight": 2.0, "on_hub": False}
    assert public_source({"path": "user/data"}) == {"path": "user/data", "on_hub": True}


def test_merged_model_equals_base_and_adapter(stage_1, base):
    merged = PandaGPTForConditionalGeneration.from_pretrained(stage_1 / "merged").eval()
    adapted = AutoModelForImageTextToText.from_pretrained(stage_1, trust_remote_code=True).eval()
    processor = PandaGPTProcessor.from_pretrained(stage_1 / "merged")
    inputs = processor(text="<image> what is it ?", images=torch.zeros(3, 32, 32).byte(), return_tensors="pt")
    with torch.no_grad():
        logits = merged(**inputs).logits
        torch.testing.assert_close(logits, adapted(**inputs).logits, atol=1e-5, rtol=0)
        bare = PandaGPTForConditionalGeneration.from_pretrained(base).eval()
        assert (bare(**inputs).logits - logits).abs().max() > 1e-3


def test_dry_run_shows_and_stops(base, original_data, tmp_path, capsys):
    more = ["--dry_run", "true", "--max_length", 32]
    main(command_line(base, original_data, tmp_path, *more))
    shown = capsys.readouterr().out
    assert "⟦" in shown and "panda" in shown
    assert "pixel_values (4, 3, 224, 224)" in shown
    assert "Truncated: " in shown and "of the first 8 rows" in shown
    assert "model.projector.modules_to_save.default: 4,160" in shown
    assert not (tmp_path / "facts.json").exists()
    assert not list(tmp_path.glob("**/*.safetensors"))


def test_embeddings_give_the_losses_of_their_media(base, original_data, tmp_path):
    embeddings = tmp_path / "embeddings"
    options = ["--num-shards", 1, "--workers", 0, "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        embed([str(option) for option in ["--model", base, "--data", original_data, "--output", embeddings, *options]])
    assert ended.value.code == 0
    more = ["--max_steps", 3, "--save_strategy", "no"]
    for name, data in (("media", original_data), ("embedded", embeddings)):
        main(command_line(base, data, tmp_path / name, *more))
    assert losses(tmp_path / "embedded") == pytest.approx(losses(tmp_path / "media"), abs=1e-5)
    with pytest.raises(ValueError, match="train=full saves a whole model"):
        main(command_line(base, embeddings, tmp_path / "full", *more, "--train", "full"))


def test_each_source_of_embeddings_is_compared(base, original_data, tmp_path):
    options = ["--data", original_data, "--num-shards", 1, "--workers", 0, "--device", "cpu"]
    other = write_base(tmp_path / "other", seed=1)
    for name, model in (("own", base), ("strange", other)):
        with pytest.raises(SystemExit):
            embed([str(option) for option in ["--model", model, "--output", tmp_path / name, *options]])
    more = ["--max_steps", 1, "--save_strategy", "no"]
    both = tmp_path / "own", tmp_path / "strange"
    with pytest.raises(ValueError, match="made with other, from which .* differs in .*vision encoder"):
        main([*command_line(base, both[0], tmp_path / "run", *more), "--data", *map(str, both)])
    main([*command_line(base, both[0], tmp_path / "run", *more), "--data", *[str(both[0])] * 2])
    assert len(losses(tmp_path / "run")) == 1


def test_length_groups(base, original_data, tmp_path):
    more = ["--max_steps", 1, "--train_sampling_strategy", "group_by_length", "--validation_share", 0.25]
    main(command_line(base, original_data, tmp_path, *more))
    assert len(losses(tmp_path)) == 1


def test_a_batch_without_any_label_adds_nothing(base, original_data, tmp_path):
    more = ["--max_steps", 2, "--max_length", 1, "--weight_decay", 0, "--save_strategy", "no"]
    arguments, args = parse_arguments(command_line(base, original_data, tmp_path, *more))
    set_seed(args.seed)
    before = build_model(arguments).state_dict()
    after = train(arguments, args).model.state_dict()
    assert losses(tmp_path) == [0.0, 0.0]
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("more", [["--train_sampling_strategy", "group_by_length"], ["--validation_share", 0.25]])
def test_no_sample_left_is_an_error(base, original_data, tmp_path, more):
    with pytest.raises(ValueError, match="max_length 1 cuts the answers of all . samples away"):
        main(command_line(base, original_data, tmp_path, "--max_length", 1, *more))


def test_streaming(base, original_data, tmp_path):
    main(command_line(base, original_data, tmp_path, "--max_steps", 2, "--streaming", "true"))
    assert len(losses(tmp_path)) == 2


@pytest.mark.parametrize(
    "more, message",
    [
        (["--streaming", "true", "--max_steps", -1], "set max_steps"),
        (["--merge", "true", "--train", "full"], "train=full writes a whole model anyway"),
        (["--warmup_type", "sudden"], "warmup_type must be log or linear, got 'sudden'"),
    ],
)
def test_what_makes_no_sense_is_refused(base, original_data, tmp_path, more, message):
    with pytest.raises(ValueError, match=message):
        main(command_line(base, original_data, tmp_path, *more))


class KeepGradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def original_name(name: str) -> str:
    """`base_model.model.model.language_model.….lora_A.default.weight` -> the delta's key."""
    if "projector" in name:
        return f"llama_proj.{name.rsplit('.', 1)[1]}"
    return "llama_model.base_model.model.model." + name.split("language_model.", 1)[1]


def test_one_step_from_the_golden_delta(fixtures, reference, tmp_path, monkeypatch):
    """Loss, token accuracy, gradients and their norm of one step on the original's batch of three, without dropout."""
    convert([*golden_sources(fixtures), "--output", tmp_path / "base", "--adapter-output", tmp_path / "adapter"])
    golden = json.loads((fixtures / "pandagpt_tiny" / "train_forward.json").read_text())
    case = golden["cases"]["batch3"]
    records = [
        {"image_name": image, "conversation": golden["conversations"][name]}
        for image, name in zip(case["images"], case["conversations"], strict=True)
    ]
    data = tmp_path / "data.json"
    data.write_text(json.dumps(records))
    arguments = Arguments(
        model=str(tmp_path / "base"),
        data=[{"path": str(data), "images": str(reference / "assets")}],
        adapter=str(tmp_path / "adapter"),
        lora_dropout=0.0,
    )
    args = PandaGPTSFTConfig(
        output_dir=str(tmp_path / "run"),
        per_device_train_batch_size=3,
        max_steps=1,
        max_length=case["max_tgt_len"],
        max_grad_norm=1e6,
        lr_scheduler_type="constant",
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
    )
    kept = KeepGradients()
    monkeypatch.setattr("training.sft.PandaGPTTrainer.__init__", with_callback(kept))
    before = build_model(arguments).state_dict()
    after = train(arguments, args).model.state_dict()

    (entry,) = [entry for entry in read_facts(tmp_path / "run")["history"] if "loss" in entry]
    assert entry["loss"] == pytest.approx(case["loss"], abs=1e-5)
    assert entry["mean_token_accuracy"] == pytest.approx(case["gen_acc"], abs=1e-6)
    assert entry["image_token_accuracy"] == pytest.approx(case["gen_acc"], abs=1e-6)
    assert entry["grad_norm"] == pytest.approx(case["grad_norm"], rel=1e-3)
    expected = load_file(fixtures / "pandagpt_tiny" / "grads_batch3.safetensors")
    assert {original_name(name) for name in kept.gradients} == set(expected)
    for name, gradient in kept.gradients.items():
        wanted = expected[original_name(name)]
        torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-3 * wanted.abs().max().item())
    # From a delta whose LoRA is not 0, one step moves all that is trained, and nothing else by a bit.
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {name for name in after if is_trained(name, "lora")}


def with_callback(callback: TrainerCallback):
    from training.trainer import PandaGPTTrainer

    initialize = PandaGPTTrainer.__init__
    return lambda self, *args, **kwargs: initialize(self, *args, callbacks=[callback], **kwargs)


def test_qlora(base, original_data, tmp_path):
    """The language model in 4 bits: the same tensors move as with LoRA; merged onto the base as it is."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    quantized = ["--load_in_4bit", "true", "--save_strategy", "no"]
    more = [*quantized, "--max_steps", 3, "--lr_scheduler_type", "constant", "--weight_decay", 0]
    arguments, args = parse_arguments(command_line(base, original_data, tmp_path, *more, "--merge", "true"))
    set_seed(args.seed)
    before = build_model(arguments).state_dict()
    model = train(arguments, args).model
    after = model.state_dict()
    assert set(after) == set(before)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {name for name in after if is_trained(name, "lora")}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters() if parameter.requires_grad)
    packed = {name for name in after if name.endswith("weight") and after[name].dtype == torch.uint8}
    assert len(packed) == 2 * 7  # layers, linear maps
    assert all("language_model.layers" in name for name in packed)

    merged = PandaGPTForConditionalGeneration.from_pretrained(tmp_path / "merged").state_dict()
    bare = PandaGPTForConditionalGeneration.from_pretrained(base).state_dict()
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    assert set(merged) == set(bare)
    for name, tensor in bare.items():
        key = f"base_model.model.{name.removesuffix('.weight')}"
        expected = adapter.get(f"base_model.model.{name}", tensor)
        if f"{key}.lora_A.weight" in adapter:
            expected = tensor + adapter[f"{key}.lora_B.weight"] @ adapter[f"{key}.lora_A.weight"]  # alpha / r is 1
        torch.testing.assert_close(merged[name], expected, atol=1e-6, rtol=0)

    main(command_line(base, original_data, tmp_path / "2", *quantized, "--adapter", tmp_path, "--max_steps", 1))
    assert losses(tmp_path / "2")[0] < losses(tmp_path)[-1]


def test_qlora_learns_on_after_an_evaluation(base, original_data, tmp_path):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    more = ["--load_in_4bit", "true", "--save_strategy", "no", "--max_steps", 3, "--validation_share", 0.25]
    more += ["--lr_scheduler_type", "constant", "--eval_steps", 1]
    for name in ("no", "steps"):
        main(command_line(base, original_data, tmp_path / name, *more, "--eval_strategy", name))
    assert losses(tmp_path / "steps") == losses(tmp_path / "no")


@pytest.mark.parametrize("choice", ["full", "everything"])
def test_4_bits_are_not_trained(base, choice):
    with pytest.raises(ValueError, match=f"train={choice} does not go with load_in_4bit"):
        build_model(Arguments(model=str(base), data=["x"], train=choice, load_in_4bit=True))


def test_4_bits_need_bitsandbytes(base, monkeypatch):
    monkeypatch.setattr("training.model.is_bitsandbytes_available", lambda: False)
    with pytest.raises(ImportError, match="load_in_4bit needs bitsandbytes: pip install"):
        build_model(Arguments(model=str(base), data=["x"], load_in_4bit=True))


def test_tensorboard_shows_what_the_log_says(base, original_data, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    main(command_line(base, original_data, tmp_path, "--max_steps", 2, "--report_to", "tensorboard"))
    (file,) = tmp_path.rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file)).Reload()
    logged = read_facts(tmp_path)["history"]
    for name in ("loss", "image_token_accuracy", "tokens_per_second", "padding_share"):
        shown = [scalar.value for scalar in events.Scalars(f"train/{name}")]
        assert shown == pytest.approx([entry[name] for entry in logged], rel=1e-5)
