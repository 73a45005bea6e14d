"""All values that have a golden file."""

from . import groups, histories, metadata, peer_calls, peer_frames, raft_messages, raft_state, storage
from .sample import Sample

SAMPLES: list[Sample] = [
    *metadata.SAMPLES,
    *raft_state.SAMPLES,
    *raft_messages.SAMPLES,
    *peer_frames.SAMPLES,
    *peer_calls.SAMPLES,
    *storage.SAMPLES,
    *groups.SAMPLES,
    *histories.SAMPLES,
]
