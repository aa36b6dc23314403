# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""The converter: what it writes loads anywhere and computes what the original did; what does not fit is refused."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from modeling_pandagpt import PandaGPTConfig, PandaGPTForConditionalGeneration
from modeling_pandagpt.convert_original_checkpoint import load_clip_tokenizer, main


ROOT = Path(__file__).parents[2]
LORA_KEY = "llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"


def convert(*arguments: str | Path) -> None:
    main([str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def encoder(fixtures) -> tuple[str | Path, ...]:
    folder = fixtures / "imagebind_tiny"
    return "--imagebind", folder / "imagebind_tiny.pth", "--imagebind-config", folder / "imagebind_tiny_config.json"


@pytest.fixture(scope="session")
def llama(fixtures) -> Path:
    return fixtures / "pandagpt_tiny" / "base_llama"


@pytest.fixture(scope="session")
def delta(fixtures) -> Path:
    return fixtures / "pandagpt_tiny" / "pytorch_model.pt"


@pytest.fixture(scope="session")
def converted(tmp_path_factory, fixtures, encoder, llama, delta) -> dict[str, Path]:
    """The golden model merged, the same as base and adapter (in several shards), and ImageBind alone."""
    root = tmp_path_factory.mktemp("converted")
    folders = {name: root / name for name in ("merged", "base", "adapter", "imagebind")}
    model = (*encoder, "--language-model", llama, "--delta", delta)
    convert(*model, "--output", folders["merged"])
    convert(*model, "--output", folders["base"], "--adapter-output", folders["adapter"], "--max-shard-size", "500KB")
    convert(*encoder, "--clip-tokenizer", fixtures / "clip_tokenizer", "--output", folders["imagebind"])
    return folders


@pytest.fixture
def refused(capsys):
    """Runs a conversion that must fail, checks that it left nothing, and gives its message."""

    def run(output: Path, *arguments: str | Path) -> str:
        before = sorted(output.parent.iterdir())
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            convert(*arguments, "--output", output)
        assert end.value.code == 2
        assert sorted(output.parent.iterdir()) == before
        return capsys.readouterr().err

    return run


@pytest.fixture
def altered(tmp_path, llama):
    """A copy of the golden LLaMA with some weights or entries of config.json changed."""

    def make(weights: dict[str, torch.Tensor | None] | None = None, name: str = "llama", **config) -> Path:
        folder = tmp_path / name
        shutil.copytree(llama, folder)
        (folder / "pytorch_model.bin").unlink()
        state_dict = load_file(llama / "model.safetensors") | (weights or {})
        kept = {key: tensor for key, tensor in state_dict.items() if tensor is not None}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        values = json.loads((llama / "config.json").read_text()) | config
        (folder / "config.json").write_text(json.dumps(values))
        return folder

    return make


@pytest.fixture
def output(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "model"


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return {key: tensor for file in folder.glob("*.safetensors") for key, tensor in load_file(file).items()}


def assert_same_weights(folder: Path, expected: Path, **tolerances: float) -> None:
    ours, theirs = weights_of(folder), weights_of(expected)
    assert ours.keys() == theirs.keys()
    for key, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[key], **(tolerances or {"rtol": 0, "atol": 0}))


class TestWhatIsWritten:
    def test_loads_in_a_process_without_our_source(self, converted, fixtures, tmp_path):
        script = Path(__file__).with_name("loads_anywhere.py")
        folders = [str(converted[name]) for name in ("merged", "base", "adapter", "imagebind")]
        done = subprocess.run(
            [sys.executable, "-I", script, fixtures / "pandagpt_tiny", *folders],
            cwd=tmp_path,
            env={**os.environ, "HF_HOME": str(tmp_path / "hf"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["sources"] == []
        assert found["config"] == "PandaGPTConfig"
        for auto_class in ("AutoModel", "AutoModelForCausalLM", "AutoModelForImageTextToText"):
            assert found[auto_class] == "PandaGPTForConditionalGeneration"
        assert max(found["merged"], found["adapter"], found["peft"]) < 2e-4
        assert found["base"] > 0.1, "the base must differ, or the adapter was never tested"
        assert found["merged prompt"] == found["base prompt"] == found["adapter prompt"]
        assert "### Human: <Img><image> </Img> What is it?\n### Assistant:" in found["merged prompt"]
        assert found["text_embeds"] == [2, 40]

    def test_configuration(self, converted):
        config = json.loads((converted["merged"] / "config.json").read_text())
        assert config["architectures"] == ["PandaGPTForConditionalGeneration"]
        assert config["auto_map"] == PandaGPTConfig().auto_map
        assert config["dtype"] == "float32"
        scales = {"image": 1.0, "video": 1.0, "audio": 1.0, "thermal": 10.0, "depth": 5.0, "imu": 5.0}
        assert config["modality_scales"] == scales
        assert [config[f"{name}_token_id"] for name in scales] == list(range(600, 606))
        assert config["imagebind_config"]["modalities"] == ["vision", "audio", "depth", "thermal", "imu"]
        assert not any("text_model" in key for key in weights_of(converted["merged"]))
        assert str(ROOT) not in json.dumps(config)

    def test_generation_configuration(self, converted, llama):
        config = GenerationConfig.from_pretrained(converted["merged"])
        assert config.bos_token_id == 1
        assert config.pad_token_id == 2
        assert config.eos_token_id == [2, 264], "the end token, and the piece ## of the tiny vocabulary"
        assert config.suppress_tokens is None

    def test_every_file_has_the_usual_permissions(self, converted):
        for folder in converted.values():
            modes = {file.name: file.stat().st_mode for file in folder.iterdir() if file.is_file()}
            assert set(modes.values()) == {modes["processor_config.json"]}, modes

    def test_shards_and_index(self, converted):
        index = json.loads((converted["base"] / "model.safetensors.index.json").read_text())
        files = sorted(converted["base"].glob("model-*.safetensors"))
        assert len(files) > 2
        assert sorted(set(index["weight_map"].values())) == [file.name for file in files]
        assert all(file.stat().st_size < 600_000 for file in files)
        total = sum(tensor.nbytes for tensor in weights_of(converted["base"]).values())
        assert index["metadata"]["total_size"] == total

    def test_base_is_the_language_model_itself(self, converted, llama):
        weights = weights_of(converted["base"])
        for key, tensor in load_file(llama / "model.safetensors").items():
            ours = key.replace("model.", "model.language_model.", 1)
            if "inv_freq" not in key:
                assert torch.equal(weights[ours], tensor), key

    def test_adapter_configuration(self, converted):
        config = json.loads((converted["adapter"] / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(converted["base"])
        assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (32, 32, 0.1)
        assert config["modules_to_save"] == ["projector"]
        assert config["task_type"] == "CAUSAL_LM"
        assert not (converted["adapter"] / "config.json").exists(), "with one it would count as a whole model"

    def test_every_source_file_is_flat_and_present(self, converted):
        files = {file.name for file in converted["merged"].iterdir()}
        code = {file.name for room in ("modeling_pandagpt", "processing") for file in (ROOT / room).glob("*.py")}
        not_shipped = {"__init__.py", "convert_original_checkpoint.py", "original_checkpoint_mapping.py"}
        assert {name for name in files if name.endswith(".py")} == code - not_shipped
        assert {"chat_template.jinja", "processor_config.json", "tokenizer.json", "tokenizer_config.json"} <= files


class TestSources:
    def test_fresh_projector(self, encoder, llama, output, converted, capsys):
        convert(*encoder, "--language-model", llama, "--output", output)
        assert "the projector is fresh: it wants training" in capsys.readouterr().out
        config = PandaGPTConfig.from_pretrained(output)
        assert set(config.modality_scales.values()) == {1.0}
        weights = weights_of(output)
        assert weights["model.projector.weight"].std().item() == pytest.approx(config.initializer_range, rel=0.1)
        assert not weights["model.projector.bias"].any()
        assert_same_weights(output, converted["base"])

    @pytest.mark.parametrize("kind", ["bin", "old bin", "bin shards", "safetensors shards"])
    def test_files_of_a_language_model(self, kind, encoder, llama, delta, converted, output, tmp_path):
        folder = tmp_path / "llama"
        shutil.copytree(llama, folder)
        (folder / "model.safetensors").unlink()
        if kind != "bin":  # which is there, as transformers wrote it in 2023
            (folder / "pytorch_model.bin").unlink()
            write_language_model(folder, load_file(llama / "model.safetensors"), kind)
        convert(*encoder, "--language-model", folder, "--delta", delta, "--output", output)
        assert_same_weights(output, converted["merged"])

    def test_rotary_frequencies_of_old_folders_are_left_out(self, encoder, altered, output, converted):
        folder = altered({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)})
        convert(*encoder, "--language-model", folder, "--output", output)
        assert_same_weights(output, converted["base"])

    def test_vicuna_is_llama_and_its_delta(self, encoder, llama, delta, altered, converted, output):
        """LLaMA has one row fewer, as 32000 to Vicuna v0's 32001: that row is the delta's alone."""
        vicuna = load_file(llama / "model.safetensors")
        generator = torch.Generator().manual_seed(0)
        base = {key: torch.randn(tensor.shape, generator=generator) for key, tensor in vicuna.items()}
        for key in ("model.embed_tokens.weight", "lm_head.weight"):
            base[key] = base[key][:-1].clone()
        difference = {key: tensor.clone() for key, tensor in vicuna.items()}
        for key, tensor in base.items():
            difference[key][: len(tensor)] -= tensor
        folders = altered(base, "base", vocab_size=599), altered(difference, "difference")
        convert(
            *encoder,
            *("--language-model", folders[0], "--vicuna-delta", folders[1], "--delta", delta, "--output", output),
        )
        assert_same_weights(output, converted["merged"], rtol=0, atol=2e-6)

    def test_lora_alpha_scales_what_is_merged(self, encoder, llama, delta, output, converted):
        convert(*encoder, "--language-model", llama, "--delta", delta, "--lora-alpha", "16", "--output", output)
        key = "model.language_model.layers.1.self_attn.v_proj.weight"
        half, whole, none = (weights_of(f)[key] for f in (output, converted["merged"], converted["base"]))
        torch.testing.assert_close(2 * (half - none), whole - none, rtol=0, atol=1e-6)
        assert (whole - none).abs().max() > 0.01

    def test_dtype(self, encoder, llama, delta, output, converted):
        convert(*encoder, "--language-model", llama, "--delta", delta, "--dtype", "bfloat16", "--output", output)
        weights = weights_of(converted["merged"])
        assert json.loads((output / "config.json").read_text())["dtype"] == "bfloat16"
        for key, tensor in weights_of(output).items():
            assert torch.equal(tensor, weights[key].bfloat16()), "merged in float32, then cast"

    def test_dtype_is_the_language_models(self, encoder, llama, altered, output):
        half = {key: tensor.half() for key, tensor in load_file(llama / "model.safetensors").items()}
        convert(*encoder, "--language-model", altered(half), "--output", output)
        assert {tensor.dtype for tensor in weights_of(output).values()} == {torch.float16}

    def test_modalities(self, encoder, llama, output):
        convert(*encoder, "--language-model", llama, "--modalities", "vision,audio", "--output", output)
        encoders = {key.split(".")[2] for key in weights_of(output) if key.startswith("model.imagebind.")}
        assert encoders == {"vision_model", "audio_model"}
        model = PandaGPTForConditionalGeneration.from_pretrained(output)
        assert model.config.modalities == ["vision", "audio"]

    def test_placeholders_in_a_padded_vocabulary_are_suppressed(self, encoder, llama, altered, output):
        rows = {
            key: torch.nn.functional.pad(tensor, (0, 0, 0, 4))
            for key, tensor in load_file(llama / "model.safetensors").items()
            if key in ("model.embed_tokens.weight", "lm_head.weight")
        }
        convert(*encoder, "--language-model", altered(rows, vocab_size=604), "--output", output)
        assert GenerationConfig.from_pretrained(output).suppress_tokens == [600, 601, 602, 603]
        assert PandaGPTConfig.from_pretrained(output).text_config.vocab_size == 604

    def test_llamas_own_vocabulary(self, encoder, altered, reference, output):
        """The ids that the original has: 2277 ends an answer, and the placeholders lie beyond the vocabulary."""
        rows = {key: torch.zeros(32000, 64) for key in ("model.embed_tokens.weight", "lm_head.weight")}
        folder = altered(rows, vocab_size=32000)
        for file in (reference / "llama_tokenizer" / "slow").iterdir():
            shutil.copyfile(file, folder / file.name)
        convert(*encoder, "--language-model", folder, "--output", output)
        generation = GenerationConfig.from_pretrained(output)
        assert (generation.bos_token_id, generation.eos_token_id) == (1, [2, 2277])
        assert generation.suppress_tokens is None
        assert PandaGPTConfig.from_pretrained(output).placeholder_token_ids == list(range(32000, 32006))

    def test_a_base_that_speaks_chatml(self, encoder, output, tmp_path):
        """Its embeddings are tied, its vocabulary is padded, and ## is an ordinary heading in it."""
        tokenizer = chatml_tokenizer()
        tokenizer.save_pretrained(tmp_path / "qwen")
        config = Qwen2Config(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
        base = Qwen2ForCausalLM(config).eval()
        base.generation_config.temperature = 0.7
        base.generation_config.do_sample = True
        base.save_pretrained(tmp_path / "qwen")
        convert(*encoder, "--language-model", tmp_path / "qwen", "--output", output)
        generation = GenerationConfig.from_pretrained(output)
        ids = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>", "##"])
        assert generation.eos_token_id == ids[:2]
        assert generation.temperature != 0.7
        assert generation.suppress_tokens == list(range(len(tokenizer), len(tokenizer) + 6))
        assert "<|im_start|>" in (output / "chat_template.jinja").read_text()
        assert "lm_head.weight" not in weights_of(output)
        model = PandaGPTForConditionalGeneration.from_pretrained(output).eval()
        input_ids = torch.tensor([[1, 2, 3, 4]])
        with torch.no_grad():
            torch.testing.assert_close(model(input_ids).logits, base(input_ids).logits)

    def test_chat_template_of_a_file(self, encoder, llama, output, tmp_path):
        (tmp_path / "mine.jinja").write_text("{{ messages[0].content }}")
        convert(*encoder, "--language-model", llama, "--chat-template", tmp_path / "mine.jinja", "--output", output)
        assert (output / "chat_template.jinja").read_text() == "{{ messages[0].content }}"
        assert GenerationConfig.from_pretrained(output).eos_token_id == [2], "the template does not write ###"


def write_language_model(folder: Path, weights: dict[str, torch.Tensor], kind: str) -> None:
    if kind == "old bin":
        torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
        return
    name, extension = ("model", "safetensors") if "safetensors" in kind else ("pytorch_model", "bin")
    keys = list(weights)
    weight_map = {}
    for number, part in enumerate((keys[::2], keys[1::2]), start=1):
        file = f"{name}-{number:05}-of-00002.{extension}"
        shard = {key: weights[key] for key in part}
        save_file(shard, folder / file) if extension == "safetensors" else torch.save(shard, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / f"{name}.{extension}.index.json").write_text(index)


def chatml_tokenizer() -> PreTrainedTokenizerFast:
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "##", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[("#", "#")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )


class TestInterruption:
    def test_a_failure_halfway_leaves_nothing(self, encoder, altered, output, refused):
        """The last layer does not fit into float16, which is found after other shards have been written."""
        key = "model.layers.1.mlp.down_proj.weight"
        folder = altered({key: torch.full((64, 128), 1e6)})
        message = refused(
            output, *encoder, "--language-model", folder, "--dtype", "float16", "--max-shard-size", "100KB"
        )
        assert "layers.1.mlp.down_proj.weight" in message
        assert "1e+06" in message

    @pytest.mark.parametrize("interruption", [signal.SIGKILL, signal.SIGINT])
    def test_an_interrupted_run_leaves_no_folder_of_that_name(self, interruption, encoder, llama, output):
        arguments = [*encoder, "--language-model", llama, "--max-shard-size", "20KB", "--output", output]
        command = [sys.executable, "-m", "modeling_pandagpt.convert_original_checkpoint", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            # A background job of a shell ignores interrupts, and so would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while process.poll() is None and not any(output.parent.glob(".model.*.partial/model/*.safetensors")):
            time.sleep(0.0005)
        process.send_signal(interruption)
        assert process.wait() != 0, "the run ended before it could be interrupted"
        left = list(output.parent.iterdir())
        killed = interruption == signal.SIGKILL  # with no chance to clean up
        assert [(path.name[0], path.suffix) for path in left] == [(".", ".partial")] * killed
        convert(*arguments)
        assert (output / "model.safetensors.index.json").is_file()
        assert set(output.parent.iterdir()) == {output, *left}

    def test_an_empty_folder_is_taken(self, encoder, fixtures, output):
        output.mkdir()
        convert(*encoder, "--clip-tokenizer", fixtures / "clip_tokenizer", "--output", output)
        assert (output / "model.safetensors").is_file()


class TestRefusals:
    """Each message names the file, the key and the likely cause."""

    def test_missing_and_unexpected_keys(self, encoder, altered, output, refused):
        key = "model.layers.1.self_attn.q_proj.weight"
        folder = altered({key: None, "model.layers.7.surprise": torch.zeros(2)})
        message = refused(output, *encoder, "--language-model", folder)
        assert f"missing keys: {key};" in message
        assert "unexpected keys: model.layers.7.surprise." in message

    def test_vocabulary_of_weights_and_configuration(self, encoder, llama, altered, output, refused):
        rows = torch.zeros(601, 64)
        message = refused(output, *encoder, "--language-model", altered({"model.embed_tokens.weight": rows}))
        assert "model.embed_tokens.weight has the shape (601, 64), expected (600, 64)" in message
        assert "LLaMA has 32000 tokens and Vicuna v0 has 32001" in message

    def test_vocabulary_of_tokenizer_and_configuration(self, encoder, altered, output, refused):
        message = refused(output, *encoder, "--language-model", altered(vocab_size=599))
        assert "the tokenizer's ids reach 599" in message
        assert "a vocabulary of 599" in message
        assert "--vicuna-delta" in message

    def test_tokenizer_of_the_first_conversions(self, encoder, altered, output, refused):
        folder = altered()
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LLaMATokenizer", "eos_token": ""}')
        message = refused(output, *encoder, "--language-model", folder)
        assert f"{folder / 'tokenizer_config.json'} is of the first conversions of LLaMA" in message

    def test_vicuna_delta_of_another_size(self, encoder, llama, altered, output, refused):
        keys = ("model.embed_tokens.weight", "lm_head.weight")
        wide = {key: torch.zeros(600, 128) for key in keys}
        base = altered(wide, hidden_size=128)
        message = refused(output, *encoder, "--language-model", base, "--vicuna-delta", llama)
        assert "(600, 128), expected (600, 64)" in message
        assert "different sizes (7B and 13B)" in message

    def test_vicuna_delta_with_fewer_tokens(self, encoder, llama, altered, output, refused):
        rows = {key: torch.zeros(601, 64) for key in ("model.embed_tokens.weight", "lm_head.weight")}
        message = refused(output, *encoder, "--language-model", altered(rows, vocab_size=601), "--vicuna-delta", llama)
        assert "601" in message and "600" in message
        assert "LLaMA has 32000 tokens and Vicuna v0 has 32001" in message

    def test_rank_of_lora(self, encoder, llama, delta, output, refused):
        message = refused(output, *encoder, "--language-model", llama, "--delta", delta, "--lora-r", "8")
        assert f"{LORA_KEY} has the shape (32, 64), expected (8, 64)" in message
        assert "--lora-r" in message

    def test_delta_of_another_size(self, encoder, llama, delta, output, refused, tmp_path):
        state_dict = torch.load(delta, weights_only=True)
        state_dict[LORA_KEY.replace("layers.0", "layers.2")] = torch.zeros(32, 64)
        torch.save(state_dict, tmp_path / "13b.pt")
        message = refused(output, *encoder, "--language-model", llama, "--delta", tmp_path / "13b.pt")
        assert f"unexpected keys: {LORA_KEY.replace('layers.0', 'layers.2')}." in message
        assert "40 layers for 13B" in message

    @pytest.mark.parametrize(
        ("imagebind", "delta", "reason"),
        [
            ("pandagpt_tiny/pytorch_model.pt", None, "is not an ImageBind checkpoint: by its keys"),
            ("pandagpt_tiny/base_llama/model.safetensors", None, "it is a language model"),
            ("imagebind_tiny/imagebind_tiny.pth", "imagebind_tiny/imagebind_tiny.pth", "is not a PandaGPT delta"),
        ],
    )
    def test_a_checkpoint_of_another_kind(self, imagebind, delta, reason, encoder, fixtures, llama, output, refused):
        more = ("--delta", fixtures / delta) if delta else ()
        arguments = ("--imagebind", fixtures / imagebind, *encoder[2:], "--language-model", llama, *more)
        assert reason in refused(output, *arguments)

    def test_size_of_imagebind(self, encoder, fixtures, output, refused):
        message = refused(output, *encoder[:2], "--clip-tokenizer", fixtures / "clip_tokenizer")
        assert "missing keys: modality_trunks.audio.blocks.10." in message
        assert "Without --imagebind-config the sizes of imagebind_huge are expected" in message

    def test_imagebind_of_another_width(self, encoder, fixtures, output, refused, tmp_path):
        arguments = json.loads(Path(encoder[3]).read_text()) | {"imu_embed_dim": 64}
        (tmp_path / "wide.json").write_text(json.dumps(arguments))
        message = refused(output, *encoder[:2], "--imagebind-config", tmp_path / "wide.json")
        assert "modality_preprocessors.imu." in message
        assert "32" in message and "64" in message

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"audio_heads": 3}, "'audio_heads' is no argument of ImageBind's constructor"),
            ({"kernel_size": [3, 14, 14]}, "kernel_size must be [2, size, size]"),
            ({"vision_embed_dim": 65}, "must be a multiple of num_attention_heads"),
            ({"vision_embed_dim": "wide"}, "hidden_size"),
            ([1, 2], "is not a JSON object"),
        ],
    )
    def test_constructor_arguments(self, change, reason, encoder, output, refused, tmp_path):
        known = json.loads(Path(encoder[3]).read_text())
        (tmp_path / "other.json").write_text(json.dumps(known | change if isinstance(change, dict) else change))
        message = refused(output, *encoder[:2], "--imagebind-config", tmp_path / "other.json")
        assert "other.json" in message
        assert reason in message

    def test_a_mask_that_is_not_causal(self, encoder, output, refused, tmp_path):
        state_dict = torch.load(encoder[1], weights_only=True)
        state_dict["modality_preprocessors.text.mask"].zero_()
        torch.save(state_dict, tmp_path / "mask.pth")
        message = refused(output, "--imagebind", tmp_path / "mask.pth", *encoder[2:])
        assert "modality_preprocessors.text.mask is not the causal mask" in message

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "is a Git LFS pointer"),
            (b"<!DOCTYPE html><html>Not found</html>", "something else was saved in its place"),
            (b"", "damaged or incomplete"),
            (None, "damaged or incomplete"),
        ],
    )
    def test_files_that_are_no_checkpoint(self, content, reason, encoder, output, refused, tmp_path):
        file = tmp_path / "imagebind.pth"
        file.write_bytes(Path(encoder[1]).read_bytes()[:1_000_000] if content is None else content)
        message = refused(output, "--imagebind", file, *encoder[2:])
        assert str(file) in message
        assert reason in message

    def test_truncated_safetensors(self, encoder, llama, altered, output, refused):
        folder = altered()
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:100_000])
        message = refused(output, *encoder, "--language-model", folder)
        assert f"{file} cannot be read: it is damaged or incomplete" in message

    def test_code_in_a_pickle_is_not_run(self, encoder, output, refused, tmp_path):
        class Harm:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "harm",))

        (tmp_path / "harm.pth").write_bytes(pickle.dumps({"weight": Harm()}, protocol=2))
        torch.save({"weight": Harm()}, tmp_path / "zipped.pth")
        for name in ("harm.pth", "zipped.pth"):
            message = refused(output, "--imagebind", tmp_path / name, *encoder[2:])
            assert "would run code when they are read, which is refused" in message
        assert not (tmp_path / "harm").exists()

    @pytest.mark.parametrize(
        ("state_dict", "reason"),
        [
            ([torch.zeros(2)], "holds a list, expected a dictionary of tensors"),
            ({"epoch": 3}, "under 'epoch' is a int, expected a tensor"),
            ({"weight": torch.zeros(2, dtype=torch.int8)}, "quantised"),
            ({}, "holds no tensors"),
        ],
    )
    def test_files_without_weights(self, state_dict, reason, encoder, output, refused, tmp_path):
        torch.save(state_dict, tmp_path / "imagebind.pth")
        message = refused(output, "--imagebind", tmp_path / "imagebind.pth", *encoder[2:])
        assert reason in message

    def test_shards(self, encoder, llama, altered, output, refused):
        folder = altered()
        (folder / "model.safetensors").unlink()
        assert "has no weights" in refused(output, *encoder, "--language-model", folder)
        (folder / "consolidated.00.pth").touch()
        assert "LLaMA as Meta released it" in refused(output, *encoder, "--language-model", folder)
        weights = load_file(llama / "model.safetensors")
        write_language_model(folder, weights, "safetensors shards")
        second = folder / "model-00002-of-00002.safetensors"
        with safe_open(second, "pt") as file:
            own = {key: weights[key] for key in file.keys()}
        save_file(own | {"lm_head.weight": weights["lm_head.weight"], "model.norm.weight": torch.ones(64)}, second)
        message = refused(output, *encoder, "--language-model", folder)
        assert "is duplicate, both model-00001-of-00002.safetensors and model-00002-of-00002.safetensors" in message
        second.unlink()
        message = refused(output, *encoder, "--language-model", folder)
        assert f"{folder / 'model.safetensors.index.json'} lists {second.name}, not there: the download" in message

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (("--adapter-output", "adapter"), "can only be given with --language-model"),
            (("--language-model", "{llama}", "--adapter-output", "adapter"), "needs --delta"),
            (("--language-model", "{llama}", "--delta", "{delta}", "--adapter-output", "{output}/in"), "lie apart"),
            (("--language-model", "{llama}", "--clip-tokenizer", "clip"), "is for ImageBind alone"),
            (("--language-model", "{llama}", "--chat-template", "nowhere"), "neither one of ['chatml', 'vicuna_v0']"),
            (("--language-model", "{llama}", "--modalities", "vision,smell"), "got ['vision', 'smell']"),
            (("--language-model", "/no/such/folder"), "is neither a folder nor a model that the Hub gives"),
            (("--language-model", "{clip}"), "--language-model {clip} has no config.json of a known language model"),
            (("--clip-tokenizer", "{llama}"), "--clip-tokenizer {llama} is not CLIP's"),
            (("--clip-tokenizer", "{llama}/config.json"), "--clip-tokenizer {llama}/config.json cannot be read."),
            (("--clip-tokenizer", "{llama}/nothing"), "bpe_simple_vocab_16e6.txt.gz, which ImageBind ships"),
            (("--max-shard-size", "banana"), "--max-shard-size banana is no size"),
            (("--imagebind-config", "nothere.json"), "'--imagebind-config'"),
            (("--imagebind", "nothere.pth"), "'--imagebind'"),
            (("--language-model", "{llama}", "--delta", "nothere.pt"), "'--delta'"),
        ],
    )
    def test_options(self, options, reason, encoder, llama, delta, fixtures, output, refused):
        names = {"llama": llama, "delta": delta, "output": output, "clip": fixtures / "clip_tokenizer"}
        filled = [option.format(**names) for option in options]
        message = refused(output, *encoder, *filled)
        assert reason.format(**names) in message
        assert "one shard of several" not in message

    @pytest.mark.parametrize("special", [["<|startoftext|>"], ["<|endoftext|>"], ["<|endoftext|>", "<|startoftext|>"]])
    def test_a_tokenizer_that_is_not_clips(self, special, encoder, output, refused, tmp_path):
        words = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(["a", *special])}, unk_token="a"))
        PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(tmp_path / "words")
        assert "is not CLIP's" in refused(output, *encoder, "--clip-tokenizer", tmp_path / "words")

    def test_a_clip_tokenizer_with_more_tokens_than_the_encoder(self, fixtures):
        with pytest.raises(ValueError, match="ids below 524; got the highest id 524"):
            load_clip_tokenizer(str(fixtures / "clip_tokenizer"), 524)
        assert len(load_clip_tokenizer(str(fixtures / "clip_tokenizer"), 525)) == 525

    @pytest.mark.parametrize("kind", ["folder", "file"])
    def test_what_is_there_is_not_overwritten(self, kind, encoder, fixtures, output, refused):
        if kind == "folder":
            output.mkdir()
            (output / "precious.txt").write_text("mine")
        else:
            output.write_text("mine")
        message = refused(output, *encoder, "--clip-tokenizer", fixtures / "clip_tokenizer")
        assert f"{output} exists already" in message
        assert (output / "precious.txt" if kind == "folder" else output).read_text() == "mine"
