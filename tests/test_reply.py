"""What a reply has so far, while it is written."""

from concurrent.futures import ThreadPoolExecutor

from jv_session_mw import Message
from jv_session_mw.reply import Reply

PIECES = [f"{at} " for at in range(5_000)]


def new_reply() -> Reply:
    def place(message: Message) -> None:
        raise AssertionError("it has not ended")

    return Reply({"role": "assistant", "content": ""}, place, [])


def test_the_text_is_what_was_written_at_each_moment() -> None:
    reply = new_reply()
    assert reply.text == ""
    for at, piece in enumerate(PIECES[:50], 1):
        reply.write(piece)
        assert reply.text == "".join(PIECES[:at])
    for piece in PIECES[50:]:
        reply.write(piece)
    assert reply.text == "".join(PIECES)


def test_a_look_at_the_text_puts_nothing_together_that_an_earlier_one_has() -> None:
    reply = new_reply()
    for piece in PIECES:
        reply.write(piece)
    first = reply.text
    assert reply.text is first
    reply.write("")
    assert reply.text == first


def test_threads_that_look_while_another_writes_miss_nothing() -> None:
    reply = new_reply()
    whole = "".join(PIECES)

    def look() -> None:
        while (seen := reply.text) != whole:
            assert whole.startswith(seen)

    with ThreadPoolExecutor(3) as threads:
        looks = [threads.submit(look) for _ in range(2)]
        for piece in PIECES:
            reply.write(piece)
        for each in looks:
            each.result()
