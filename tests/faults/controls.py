"""The promises broken on purpose, so that the checker shows that it would see it."""

import pytest

from jv_session_mw.backends.redis import batching, scripts
from jv_session_mw.backends.redis.scripts import digest
from jv_session_mw.backends.redis.wire import Answers, Reply, Waiting

REMEMBERS = "if done then"


def without_commit_ids(patch: pytest.MonkeyPatch) -> None:
    """Let the server forget each commit at once: one that comes again is applied again."""
    sources = tuple(source.replace(REMEMBERS, "if false then") for source in scripts.SOURCES)
    assert sources != scripts.SOURCES
    names = ("LOAD", "COMMIT", "TOUCH", "DELETE", "OLDER")
    for name, source in zip(names, sources, strict=True):
        patch.setattr(scripts, name, digest(source))
    patch.setattr(scripts, "SOURCES", sources)
    patch.setattr(batching, "SOURCES", sources)


def without_tags(patch: pytest.MonkeyPatch) -> None:
    """Believe each reply that could be one to its command, whichever command it was for."""
    give = Answers.give
    fits = {scripts.LOAD: (b"found", b"same", b"missing"), scripts.COMMIT: (b"committed",)}

    def believe(answers: Answers, waiting: Waiting, reply: Reply) -> None:
        script = str(waiting.command[1])
        if isinstance(reply, list) and len(reply) > 1 and reply[1] in fits.get(script, ()):
            reply = [waiting.tag, *reply[1:]]
        give(answers, waiting, reply)

    patch.setattr(Answers, "give", believe)
