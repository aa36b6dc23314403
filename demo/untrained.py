# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""A whole PandaGPT in miniature, made in memory from a seed. It shows that everything runs; its answers are noise.

Its language model speaks the few words below and single characters, so that the noise can be printed.
"""

import string
from importlib.resources import files

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from modeling_pandagpt import PandaGPTConfig, PandaGPTForConditionalGeneration
from modeling_pandagpt.configuration_pandagpt import MEDIA_TYPES
from processing import PandaGPTProcessor


ENCODERS = ("vision", "audio", "thermal", "depth", "imu")

WORDS = """
a about above all an and are as at bamboo bark bear because before behind below beside big bird black blue bright by
call cat chair cloud cold colour dark day deep dog door ear eat eight engine eye far fast field five floor flower four
from garden glass grass green grey ground has he hear high hill hot house in is it kind lake leaf left light long loud
man many moon morning mountain moves near night nine no not now of old on one open or orange over panda path person
picture play quiet rain red right river road room run sea see seven she short side sing six sky slow small snow soft
some song sound star stone street sun tall ten that the there they this three time to train tree turn two under up
voice walk wall warm water wave we wheel white who wide wind window wing with woman wood yellow yes you young
""".split()

CHARACTERS = ("▁", "\n", *string.digits, *string.ascii_letters, *string.punctuation)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Words and printable characters, with LLaMA's special tokens and the piece `##` that ends an answer."""
    words = [f"▁{word}" for word in WORDS]
    pieces = ["<unk>", "<s>", "</s>", "##", *words, *CHARACTERS]
    # A word costs less than its letters do, so the likeliest division keeps it whole.
    scores = [-1.0 if len(piece) > 1 else -5.0 for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def build_processor() -> PandaGPTProcessor:
    """The processor of all six modalities, with the original's prompt."""
    tokenizer = build_tokenizer()
    PandaGPTProcessor.add_placeholder_tokens(tokenizer)
    template = files("processing") / "chat_templates" / "vicuna_v0.jinja"
    return PandaGPTProcessor(tokenizer=tokenizer, chat_template=template.read_text(encoding="utf-8"))


def build_config(processor: PandaGPTProcessor) -> PandaGPTConfig:
    """Every encoder in miniature, and a LLaMA of two layers with the tokenizer's vocabulary."""
    tokenizer = processor.tokenizer
    encoder = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    return PandaGPTConfig(
        imagebind_config={
            **{f"{name}_config": encoder for name in ENCODERS},
            "modalities": list(ENCODERS),
            "projection_dim": 64,
        },
        text_config=LlamaConfig(
            vocab_size=tokenizer.vocab_size,  # the placeholders lie beyond it
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            # Far from the usual 0.02, with which one word would follow for ever.
            initializer_range=0.3,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        **{f"{medium}_token_id": getattr(processor, f"{medium}_token_id") for medium in MEDIA_TYPES},
    )


def build(seed: int = 0) -> tuple[PandaGPTForConditionalGeneration, PandaGPTProcessor]:
    """
    The untrained model and its processor.

    Args:
        seed (`int`, *optional*, defaults to 0):
            Seed of the weights. The caller's random state is left as it was.

    Returns:
        `tuple[PandaGPTForConditionalGeneration, PandaGPTProcessor]`
    """
    processor = build_processor()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PandaGPTForConditionalGeneration(build_config(processor)).eval()
    # Noise of whole words is pleasanter to read than noise of letters.
    vocabulary = processor.tokenizer.get_vocab()
    model.generation_config.suppress_tokens = [vocabulary[piece] for piece in ("<unk>", "<s>", "##", *CHARACTERS)]
    return model, processor
