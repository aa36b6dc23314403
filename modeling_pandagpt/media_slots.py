# Copyright 2026 The PandaGPT for transformers authors. Licensed under the Apache License, Version 2.0.
"""Which medium goes to which placeholder: derived where it is not said, checked, and carried out.

Under `torch.compile` nothing can look at values, so the checks are left out of a compiled graph.
"""

import torch
from transformers.utils.import_utils import is_tracing

from .configuration_pandagpt import MEDIA_TYPES


def types_of_placeholders(placeholder_types: torch.LongTensor) -> torch.LongTensor:
    """`media_types` `(batch, media)` of a text in which every placeholder stands for one medium."""
    is_placeholder = placeholder_types > 0
    most = int(is_placeholder.sum(dim=1).max())
    order = is_placeholder.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return placeholder_types.gather(1, order)


def match_slots(placeholder_types: torch.LongTensor, media_types: torch.LongTensor) -> torch.LongTensor:
    """
    `media_slots` `(batch, media)` by which the k-th placeholder of a kind takes the k-th medium of its kind; 0 for a
    medium without a placeholder.
    """
    placeholder_types = placeholder_types.to(media_types.device)
    slots = torch.zeros_like(media_types)
    slot_numbers = (placeholder_types > 0).cumsum(dim=1)  # (batch, sequence)
    for type_id in range(1, len(MEDIA_TYPES) + 1):
        is_medium, is_placeholder = media_types == type_id, placeholder_types == type_id
        same_rank = is_medium.cumsum(dim=1).unsqueeze(2) == is_placeholder.cumsum(dim=1).unsqueeze(1)
        pairs = same_rank & is_medium.unsqueeze(2) & is_placeholder.unsqueeze(1)  # (batch, media, sequence)
        slots = slots + (pairs * slot_numbers.unsqueeze(1)).sum(dim=2)
    return slots


def media_of_rest(
    placeholder_types: torch.LongTensor,
    rest: int,
    media_embeds: torch.FloatTensor,
    media_types: torch.LongTensor,
    media_slots: torch.LongTensor | None,
) -> dict[str, torch.Tensor]:
    """
    The media of a text's last `rest` positions, whose slots are counted from there.

    Args:
        placeholder_types (`torch.LongTensor` of shape `(batch, sequence)`):
            Of the whole text.
        rest (`int`):
            How many of its last positions are read.
        media_embeds, media_types, media_slots:
            Of the whole text, as [`PandaGPTModel.forward`] takes them.

    Returns:
        `dict`: the same three, of the same shapes, with the types and slots of all other media 0; empty when there is
        no medium in the rest.
    """
    if media_slots is None:
        media_slots = match_slots(placeholder_types, media_types)
    is_placeholder = placeholder_types > 0
    before = is_placeholder[:, : is_placeholder.shape[1] - rest].sum(dim=1, keepdim=True).to(media_slots.device)
    is_after = media_slots > before  # (batch, media)
    if not is_after.any():
        return {}
    return {
        "media_embeds": media_embeds,
        "media_types": media_types * is_after.to(media_types.device),
        "media_slots": (media_slots - before) * is_after,
    }


def fill_slots(
    inputs_embeds: torch.FloatTensor,
    placeholder_types: torch.LongTensor,
    media_hidden_states: torch.FloatTensor,
    media_slots: torch.LongTensor,
) -> torch.FloatTensor:
    """
    The text's embeddings with, at each placeholder, the sum of its slot's media.

    Args:
        inputs_embeds (`torch.FloatTensor` of shape `(batch, sequence, hidden_size)`):
            The text's embeddings; what stands at a placeholder does not matter.
        placeholder_types (`torch.LongTensor` of shape `(batch, sequence)`):
            Above 0 at a placeholder.
        media_hidden_states (`torch.FloatTensor` of shape `(batch, media, hidden_size)`):
            What each medium adds; zero where a row is padded.
        media_slots (`torch.LongTensor` of shape `(batch, media)`):
            Which placeholder of its row a medium goes to, counted from 1; 0 pads.

    Returns:
        `torch.FloatTensor` of shape `(batch, sequence, hidden_size)`.
    """
    media_hidden_states = media_hidden_states.to(inputs_embeds.device, inputs_embeds.dtype)
    media_slots = media_slots.to(inputs_embeds.device)
    is_placeholder = (placeholder_types > 0).to(inputs_embeds.device)
    batch, media, hidden_size = media_hidden_states.shape
    sums = inputs_embeds.new_zeros(batch, media + 1, hidden_size)  # slot 0 is where padding goes
    sums = sums.scatter_add(1, media_slots.unsqueeze(-1).expand_as(media_hidden_states), media_hidden_states)
    slot_numbers = is_placeholder.cumsum(dim=1) * is_placeholder  # (batch, sequence)
    filled = sums.gather(1, slot_numbers.unsqueeze(-1).expand_as(inputs_embeds))
    return torch.where(is_placeholder.unsqueeze(-1), filled, inputs_embeds)


def count_by_kind(types: torch.LongTensor) -> list[int]:
    """How often each of 1..6 occurs. Raises `ValueError` for a type that is none of 0..6."""
    counts = torch.bincount(types.flatten(), minlength=len(MEDIA_TYPES) + 1).tolist()[1:]
    if len(counts) > len(MEDIA_TYPES):
        raise ValueError(f"media_types are 0 (padding) to {len(MEDIA_TYPES)}, got {len(counts)}.")
    return counts


def check_media_counts(types: torch.LongTensor, given: list[int], source: str):
    """Raises `ValueError`, with both counts by kind, unless as many media are given as `types` asks for."""
    if is_tracing():
        return
    wanted = count_by_kind(types)
    if wanted != given:
        counts = ", ".join(
            f"{name}: {asked} in {source}, {have} given"
            for name, asked, have in zip(MEDIA_TYPES, wanted, given, strict=True)
            if asked != have
        )
        raise ValueError(f"The media do not match {source} ({counts}).")


def check_slots(placeholder_types: torch.LongTensor, media_types: torch.LongTensor, media_slots: torch.LongTensor):
    """Raises `ValueError`, with both counts by kind, unless each row's placeholders have media and vice versa."""
    if media_types.shape != media_slots.shape or len(media_types) != len(placeholder_types):
        raise ValueError(
            f"media_types {tuple(media_types.shape)} and media_slots {tuple(media_slots.shape)} must both be (batch, "
            f"media), with a batch of {len(placeholder_types)}."
        )
    if is_tracing():
        return
    # All rows at once, so that a GPU is waited for once.
    is_medium = media_types > 0
    number = (placeholder_types > 0).sum(dim=1, keepdim=True).to(media_slots.device)  # (batch, 1)
    every_slot = torch.arange(1, media_slots.shape[1] + 1, device=media_slots.device)
    is_filled = ((media_slots.unsqueeze(2) == every_slot) & is_medium.unsqueeze(2)).any(dim=1)  # (batch, slots)
    is_right = (is_filled == (every_slot <= number)).all(dim=1) & (number <= media_slots.shape[1]).squeeze(1)
    is_right &= torch.where(is_medium, (media_slots > 0) & (media_slots <= number), media_slots == 0).all(dim=1)
    if is_right.all():
        return
    row = int((~is_right).nonzero()[0])
    used = media_slots[row][is_medium[row]].unique().tolist()
    kinds = zip(MEDIA_TYPES, count_by_kind(placeholder_types[row]), count_by_kind(media_types[row]), strict=True)
    counts = ", ".join(f"{name}: {places} placeholders, {media} media" for name, places, media in kinds)
    raise ValueError(
        f"Row {row} of the batch: the media do not match the text's placeholders ({counts}). The media go to the "
        f"slots {used}, the text has {int(number[row])}."
    )
