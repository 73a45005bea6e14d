"""What clients make the node hold, against its bounds."""

from chronik.broker.memory import NodeMemory


def test_too_much_is_more_than_the_bound() -> None:
    memory = NodeMemory(received_bytes_max=10, unsent_bytes_max=10)
    memory.received_bytes = 10
    assert not memory.is_receiving_too_much
    memory.received_bytes = 11
    assert memory.is_receiving_too_much


def test_what_is_unsent_and_what_is_loaded_share_a_bound() -> None:
    memory = NodeMemory(received_bytes_max=10, unsent_bytes_max=10)
    assert memory.response_bytes_left == 10
    memory.unsent_bytes = 4
    memory.loading_bytes = 3
    assert memory.response_bytes_left == 3
    memory.loading_bytes = 30
    assert memory.response_bytes_left == 0
