# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Phase 0: a tiny ImageBind by contrastive training, with the library's Trainer.

As the paper's (arXiv 2305.05665, section 3): pictures and videos with text first, then every other modality with the
pictures alone, whose encoder is frozen. No other two modalities ever meet.

Notable:
- A pair is two renderings of one individual, drawn independently of each other, or a rendering and a caption.
- Labels choose what stands in a batch: individuals that all differ in kind, size, speed or colour, so that no two
  captions of a batch mean the same. The loss is InfoNCE over the batch and sees no label.
- Heat and depth, which show the outlines of pictures, begin with the vision encoder's weights, unlike the paper's.
- The vision encoder being frozen, its embedding of every individual's picture is computed once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset
from tqdm import trange
from transformers import set_seed

import pandagpt
from modeling_pandagpt import ImageBindModel
from processing import ImageBindProcessor
from training.tiny_world.language import caption, words
from training.tiny_world.models import imagebind_config, imagebind_processor
from training.tiny_world.muon import MuonTrainer, pretraining_arguments
from training.tiny_world.pools import INPUT_OF, render_pools
from training.tiny_world.world import Instance


BATCH = 96
VIDEO_SHARE = 1 / 3  # of a batch of pictures and videos
LEARNING_RATE, MUON_RATE = 1.5e-3, 2e-2


class Batches(Dataset):
    """
    Whole batches by their number, each drawn from a seed of its own.

    Args:
        individuals (`Sequence[Instance]`):
            Whom they are drawn from.
        steps (`int`):
            How many batches there are.
        seed (`int`):
            Of the choice.
    """

    def __init__(self, individuals: Sequence[Instance], steps: int, seed: int):
        groups: dict[Any, list[int]] = {}
        for position, one in enumerate(individuals):
            groups.setdefault((one.concept, one.colour), []).append(position)
        self.groups = list(groups.values())
        self.steps = steps
        self.seed = seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.seed, index])
        groups = rng.permutation(len(self.groups))[:BATCH]
        chosen = [self.groups[group][rng.integers(len(self.groups[group]))] for group in groups]
        return self.batch(np.array(chosen), rng)

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        raise NotImplementedError


class CaptionBatches(Batches):
    """Individuals as pictures or as videos, with captions."""

    def __init__(
        self,
        individuals: Sequence[Instance],
        steps: int,
        seed: int,
        pools: Mapping[str, torch.Tensor],
        processor: ImageBindProcessor,
    ):
        super().__init__(individuals, steps, seed)
        self.individuals = individuals
        self.pools = pools
        self.processor = processor

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        images, videos = np.split(chosen, [round((1 - VIDEO_SHARE) * len(chosen))])
        captions = [caption(self.individuals[position], rng, colour=True) for position in chosen]
        text = self.processor(text=captions, padding="longest", return_tensors="pt")
        return {
            INPUT_OF["image"]: self.pools["image"][images].float(),
            INPUT_OF["video"]: self.pools["video"][videos].float(),
            "input_ids": text["input_ids"],
        }


class AnchorBatches(Batches):
    """Individuals in one modality, with the embeddings of their pictures."""

    def __init__(
        self,
        individuals: Sequence[Instance],
        steps: int,
        seed: int,
        modality: str,
        pool: torch.Tensor,
        anchors: torch.Tensor,
    ):
        super().__init__(individuals, steps, seed)
        self.modality = modality
        self.pool = pool
        self.anchors = anchors

    def batch(self, chosen: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        return {INPUT_OF[self.modality]: self.pool[chosen].float(), "anchors": self.anchors[chosen]}


class ContrastiveTrainer(MuonTrainer):
    """InfoNCE in both directions between media and captions, or between media and given anchors."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        anchors = inputs.get("anchors")
        outputs = model(**{name: values for name, values in inputs.items() if name != "anchors"})
        embeds = dict(outputs)
        if anchors is None:
            anchors = embeds.pop("text_embeds")
        # The temperature of the only modality that is learned beside the vision encoder, which has none of its own.
        modality = "text" if "input_ids" in inputs else next(name for name in INPUT_OF if INPUT_OF[name] in inputs)
        logits = model.logit_scale(modality) * torch.cat(list(embeds.values())) @ anchors.T
        pairs = torch.arange(len(logits), device=logits.device)
        loss = (cross_entropy(logits, pairs) + cross_entropy(logits.T, pairs)) / 2
        return (loss, outputs) if return_outputs else loss


def pretrain_vision(individuals: Sequence[Instance], steps: int, seed: int, output: Path) -> None:
    """
    Train the encoders of pictures, videos and text together.

    Args:
        individuals (`Sequence[Instance]`):
            Whom it sees, each once as a picture and once as a video.
        steps (`int`):
            Batches of 96.
        seed (`int`):
            Of weights and batches.
        output (`Path`):
            Folder for the ImageBind, whose other encoders are untrained.
    """
    pools = render_pools(individuals, ("image", "video"))
    set_seed(seed)
    processor = imagebind_processor(words())
    model = ImageBindModel(imagebind_config(processor.tokenizer.vocab_size))
    _train(model, ("vision", "text"), CaptionBatches(individuals, steps, seed, pools, processor), output)
    model.save_pretrained(output)
    processor.save_pretrained(output)


def align_others(
    individuals: Sequence[Instance], steps: Mapping[str, int], seed: int, vision: Path, output: Path
) -> None:
    """
    Train every other encoder against the frozen vision encoder.

    Args:
        individuals (`Sequence[Instance]`):
            Whom it perceives, each once in every modality.
        steps (`Mapping[str, int]`):
            Batches of 96, for each modality.
        seed (`int`):
            Of the batches.
        vision (`Path`):
            Folder that [`pretrain_vision`] wrote.
        output (`Path`):
            Folder for the whole ImageBind.
    """
    model = ImageBindModel.from_pretrained(vision)
    pools = render_pools(individuals, ("image", *steps))
    anchors = embed_pictures(model, pools.pop("image"))
    for modality, pool in pools.items():
        if modality in ("thermal", "depth"):
            begin_as_vision(model, modality)
        _train(model, (modality,), AnchorBatches(individuals, steps[modality], seed, modality, pool, anchors), output)
    model.save_pretrained(output)
    pandagpt.ImageBindProcessor.from_pretrained(vision).save_pretrained(output)


@torch.no_grad()
def begin_as_vision(model: ImageBindModel, modality: str) -> None:
    """Give the encoder of another kind of picture the vision encoder's weights, its patches summed to one channel."""
    vision, other = model.get_modality_encoder("vision"), model.get_modality_encoder(modality)
    other.layers.load_state_dict(vision.layers.state_dict(), strict=False)  # vision has no learned key and value
    other.head.load_state_dict(vision.head.state_dict())
    for name in ("class_embedding", "position_embedding"):
        getattr(other.embeddings, name).copy_(getattr(vision.embeddings, name))
    kernel = vision.embeddings.patch_embedding.weight  # (hidden, colours, frames, height, width)
    other.embeddings.patch_embedding.weight.copy_(kernel.sum(dim=(1, 2)).unsqueeze(1))


@torch.inference_mode()
def embed_pictures(model: ImageBindModel, pictures: torch.Tensor) -> torch.Tensor:
    """Embeddings `(n, projection_dim)` of pictures `(n, 3, height, width)`."""
    model.eval()
    starts = trange(0, len(pictures), BATCH, desc="embedding pictures", unit="batch")
    embeds = [model(pixel_values=pictures[start : start + BATCH].float()).image_embeds for start in starts]
    return torch.cat(embeds).clone()


def _train(model: ImageBindModel, modalities: Sequence[str], batches: Batches, folder: Path) -> None:
    model.requires_grad_(False)
    for modality in modalities:
        model.get_modality_encoder(modality).requires_grad_(True)
    print(f"training: {' and '.join(modalities)}", flush=True)
    # A batch of one: an item is a whole batch.
    arguments = pretraining_arguments(folder, len(batches), 1, LEARNING_RATE, batches.seed)
    trainer = ContrastiveTrainer(
        model=model, args=arguments, train_dataset=batches, data_collator=_only, muon_lr=MUON_RATE
    )
    trainer.train()


def _only(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return items[0]
