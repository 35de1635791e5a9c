"""Runs beside each other, and after one that was killed, have addresses of their own."""

from __future__ import annotations

import socket

from stormc.local.network import Network


def test_two_runs_have_different_blocks_and_a_closed_one_is_given_again() -> None:
    first, second = Network(), Network()
    assert first.prefix != second.prefix
    assert first.pod().startswith(f"{first.prefix}.") and first.service() != first.pod()
    second.close()
    third = Network()
    assert third.prefix != first.prefix
    first.close()
    third.close()


def test_a_block_on_which_a_process_of_a_killed_run_answers_is_passed_over() -> None:
    run = Network()
    with socket.socket() as left_over:
        left_over.bind((run.pod(), 0))
        left_over.listen()
        run.close()
        following = Network()
        assert following.prefix != run.prefix
        following.close()
